_base_ = [
    '../_base_/datasets/synthetic_rgbd_regions.py',
    '../_base_/models/late_fusion.py',
    '../_base_/schedules/hypercolumn_adamw_400.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(
            model='region_detection/hypercolumn_caffenet-s_rgb_400_synthetic.py',
            checkpoint='work_dirs/hypercolumn_caffenet-s_rgb_400_synthetic/iter_400.pth',
        ),
        hha=dict(
            model='region_detection/hypercolumn_caffenet-s_hha_400_synthetic.py',
            checkpoint='work_dirs/hypercolumn_caffenet-s_hha_400_synthetic/iter_400.pth',
        ),
    ),
)
