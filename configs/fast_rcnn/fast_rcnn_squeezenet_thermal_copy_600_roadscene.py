_base_ = [
    '../_base_/datasets/roadscene_rgbt.py',
    '../_base_/models/fast_rcnn_squeezenet.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(thermal=_base_.statistics.thermal)),
    roi_head=dict(bbox_head=dict(num_classes=3)),
)
train_dataloader = dict(
    dataset=dict(**_base_.detection.train, use=['thermal'])
)
val_dataloader = dict(dataset=dict(**_base_.detection.test, use=['thermal']))
test_dataloader = val_dataloader
