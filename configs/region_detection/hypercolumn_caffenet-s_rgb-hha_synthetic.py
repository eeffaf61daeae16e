_base_ = [
    '../_base_/datasets/synthetic_rgbd_regions.py',
    '../_base_/schedules/hypercolumn_adamw_400.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'region_detection/hypercolumn_caffenet-s_rgb_400_synthetic.py'
hha = 'region_detection/hypercolumn_caffenet-s_hha_400_synthetic.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
