# The ImageNet SqueezeNet teaches its own copy, which then sees X.
_base_ = './supervision_transfer.py'

checkpoint = 'checkpoints/squeezenet_v1.1.pth'
model = dict(
    teacher=dict(type='mmxdistill.SqueezeNet', version='1.1'),
    teacher_checkpoint=checkpoint,
    student=dict(
        type='mmxdistill.SqueezeNet',
        version='1.1',
        init_cfg=dict(
            type='Pretrained', checkpoint=checkpoint, prefix='backbone.'
        ),
    ),
    transfer_points=[
        dict(teacher='fire9', student='fire9', adaptation=dict())
    ],
)
