# YOLOX-nano teaches a copy of itself the three maps that its head reads, so
# that the student has a head that fits from the beginning.
_base_ = './yolox_nano.py'

model = dict(
    _delete_=True,
    type='mmxdistill.SupervisionTransfer',
    teacher=_base_.model,
    student=_base_.model,
    transfer_points=[
        dict(teacher=f'neck[{level}]', student=f'neck[{level}]')
        for level in range(3)
    ],
)
