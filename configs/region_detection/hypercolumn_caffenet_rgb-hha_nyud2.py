_base_ = [
    '../_base_/datasets/nyud2_regions.py',
    '../_base_/models/late_fusion.py',
    '../_base_/schedules/hypercolumn_200k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(
            model='region_detection/hypercolumn_caffenet_rgb_200k_nyud2.py',
            checkpoint='work_dirs/hypercolumn_caffenet_rgb_200k_nyud2/iter_200000.pth',
        ),
        hha=dict(
            model='region_detection/hypercolumn_caffenet_hha_200k_nyud2.py',
            checkpoint='work_dirs/hypercolumn_caffenet_hha_200k_nyud2/iter_200000.pth',
        ),
    ),
)
