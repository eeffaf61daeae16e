_base_ = [
    '../_base_/datasets/roadscene_416_pairs.py',
    '../_base_/models/st_yolox-nano_neck-both.py',
    '../_base_/schedules/finetune_60.py',
    '../_base_/transfer_runtime.py',
]

file = 'checkpoints/yolox_nano_road.pth'
road = dict(bbox_head=dict(num_classes=3))
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(visible='rgb', itself='thermal', student='thermal'),
    teacher=dict(visible=road, itself=road),
    teacher_checkpoint=dict(visible=file, itself=file),
    student=dict(init_cfg=dict(type='Pretrained', checkpoint=file), **road),
)
