_base_ = [
    '../_base_/datasets/kitchen_rgbd_detection_hha.py',
    '../_base_/models/fast_rcnn_squeezenet.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    roi_head=dict(bbox_head=dict(num_classes=5)),
)
