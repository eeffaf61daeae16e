# Table 7: flow, from the student of the transfer on UCF101.
_base_ = [
    '../_base_/datasets/jhmdb_flow_detection_flow.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    roi_head=dict(bbox_head=dict(num_classes=21)),
)
load_from = (
    'work_dirs/st_caffenet-imagenet_caffenet_flow_pool5_100k_ucf101/'
    'iter_100000.pth'
)
