# Table 7: RGB. Split 1; docs/action_detection.md has the others.
_base_ = [
    '../_base_/datasets/jhmdb_flow_detection_rgb.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    roi_head=dict(bbox_head=dict(num_classes=21)),
)
load_from = 'checkpoints/caffenet.pth'
