_base_ = [
    '../_base_/datasets/nyud2_regions.py',
    '../_base_/schedules/hypercolumn_200k.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'region_detection/hypercolumn_vgg16_rgb_200k_nyud2.py'
hha = 'region_detection/hypercolumn_caffenet_hha_200k_nyud2.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
