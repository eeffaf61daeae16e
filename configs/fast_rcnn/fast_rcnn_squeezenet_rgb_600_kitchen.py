_base_ = [
    '../_base_/datasets/kitchen_rgbd.py',
    '../_base_/models/fast_rcnn_squeezenet.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(rgb=_base_.statistics.rgb)),
    roi_head=dict(bbox_head=dict(num_classes=5)),
)
train_dataloader = dict(dataset=dict(**_base_.detection.train, use=['rgb']))
val_dataloader = dict(dataset=dict(**_base_.detection.test, use=['rgb']))
test_dataloader = val_dataloader
