_base_ = [
    '../_base_/datasets/synthetic_rgbd.py',
    '../_base_/models/fast_rcnn_caffenet-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(hha=_base_.statistics.hha)),
    backbone=dict(geometry='hha'),
)
train_dataloader = dict(dataset=dict(**_base_.detection.train, use=['hha']))
val_dataloader = dict(dataset=dict(**_base_.detection.test, use=['hha']))
test_dataloader = val_dataloader
