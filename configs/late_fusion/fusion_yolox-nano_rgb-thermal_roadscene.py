_base_ = [
    '../_base_/datasets/roadscene_416_detection.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/late_fusion_fitted_runtime.py',
]

rgb = 'yolox/yolox_yolox-nano_rgb_copy_40_roadscene.py'
thermal = 'yolox/yolox_yolox-nano_thermal_st_40_roadscene.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(model=rgb, checkpoint='checkpoints/yolox_nano_road.pth'),
        thermal=dict(model=thermal),
    ),
)
