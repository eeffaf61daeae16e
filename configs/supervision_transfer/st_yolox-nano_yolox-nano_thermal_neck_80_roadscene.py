_base_ = [
    '../_base_/datasets/roadscene_416_pairs.py',
    '../_base_/models/st_yolox-nano_neck.py',
    '../_base_/schedules/adamw_80.py',
    '../_base_/transfer_runtime.py',
]

road = dict(bbox_head=dict(num_classes=3))
start = dict(type='Pretrained', checkpoint='checkpoints/yolox_nano_road.pth')
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(teacher='rgb', student='thermal'),
    teacher=road,
    teacher_checkpoint=start['checkpoint'],
    student=dict(init_cfg=start, **road),
)
