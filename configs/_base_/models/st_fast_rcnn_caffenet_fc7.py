# The RGB detector teaches a network of the same architecture, from fillers, at
# fc7 of the proposals: 64 of each image.
_base_ = './supervision_transfer.py'

detector = 'fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2.py'
model = dict(
    teacher=detector,
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/'
    'iter_40000.pth',
    student=detector,
    modalities=dict(teacher='rgb', student='hha'),
    num_rois=64,
    transfer_points=[dict(teacher='fc7', student='fc7', adaptation=dict())],
)
