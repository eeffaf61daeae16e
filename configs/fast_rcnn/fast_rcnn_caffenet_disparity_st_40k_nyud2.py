# Section 4.1: disparity three times in place of HHA, here as 1D.
_base_ = [
    '../_base_/datasets/nyud2_detection_disparity.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(geometry='hha'),
)
load_from = (
    'work_dirs/st_caffenet_caffenet_disparity_pool5_100k_nyud2/iter_100000.pth'
)
