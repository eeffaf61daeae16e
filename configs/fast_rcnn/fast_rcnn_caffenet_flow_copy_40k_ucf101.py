# Table 7's supervised pre-training: AlexNet, copied from RGB, learns the
# actions of UCF101 in flow. Its schedule is not published.
_base_ = [
    '../_base_/datasets/ucf101_flow_classification.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    roi_head=dict(bbox_head=dict(num_classes=101)),
)
load_from = 'checkpoints/caffenet.pth'
