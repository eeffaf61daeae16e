# As section 4.1: disparity three times in place of HHA.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_detection_disparity.py',
    '../_base_/models/fast_rcnn_caffenet-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(geometry='hha'),
)
load_from = (
    'work_dirs/st_caffenet-s_caffenet-s_disparity_pool5_2k_synthetic/'
    'iter_2000.pth'
)
