_base_ = [
    '../_base_/datasets/people_flow_pairs.py',
    '../_base_/models/st_yolox-nano_neck.py',
    '../_base_/schedules/adamw_200.py',
    '../_base_/transfer_runtime.py',
]

checkpoint = 'checkpoints/yolox_nano_person.pth'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(teacher='rgb', student='flow'),
    teacher_checkpoint=checkpoint,
    student=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint)),
)
