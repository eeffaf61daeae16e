# The CaffeNet of the RGB detector teaches another, at pool5. Both have the
# same padding, so that their grids agree at every layer; weights do not
# depend on it, and the HHA detector takes them in its own geometry.
_base_ = './supervision_transfer.py'

model = dict(
    teacher=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/'
    'iter_40000.pth',
    student=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    modalities=dict(teacher='rgb', student='hha'),
    transfer_points=[
        dict(teacher='pool5', student='pool5', adaptation=dict())
    ],
)
