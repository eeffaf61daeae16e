_base_ = [
    '../_base_/datasets/synthetic_rgbd.py',
    '../_base_/models/fast_rcnn_caffenet-s.py',
    '../_base_/schedules/adamw_2k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(rgb=_base_.statistics.rgb))
)
train_dataloader = dict(
    dataset={**_base_.detection.train, **_base_.rgb_train, 'use': ['rgb']}
)
val_dataloader = dict(dataset=dict(**_base_.detection.test, use=['rgb']))
test_dataloader = val_dataloader
