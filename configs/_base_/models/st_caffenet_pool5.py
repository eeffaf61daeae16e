# The CaffeNet of the RGB detector teaches one of the HHA geometry, at pool5.
_base_ = './supervision_transfer.py'

model = dict(
    teacher=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/'
    'iter_40000.pth',
    student=dict(type='mmxdistill.CaffeNet', geometry='hha'),
    modalities=dict(teacher='rgb', student='hha'),
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(
                type='mmxdistill.AdaptationNeck',
                in_channels=256,
                out_channels=256,
            ),
        )
    ],
)
