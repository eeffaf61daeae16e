_base_ = [
    '../_base_/datasets/synthetic_rgbd_regions_hha.py',
    '../_base_/models/hypercolumn_caffenet-s.py',
    '../_base_/schedules/hypercolumn_adamw_400.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(box_geometry='hha'),
)
load_from = 'work_dirs/fast_rcnn_caffenet-s_hha_st_300_synthetic/iter_300.pth'
