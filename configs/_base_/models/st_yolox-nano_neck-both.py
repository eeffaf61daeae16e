# Two teachers with the same weights: one sees visible light, the other what
# the student sees, which keeps the student near what it could do already.
_base_ = './yolox_nano.py'

model = dict(
    _delete_=True,
    type='mmxdistill.SupervisionTransfer',
    teacher=dict(visible=_base_.model, itself=_base_.model),
    student=_base_.model,
    transfer_points=[
        dict(teacher=f'{teacher}.neck[{level}]', student=f'neck[{level}]')
        for teacher in ('visible', 'itself')
        for level in range(3)
    ],
)
