_base_ = [
    '../_base_/datasets/people_flow_detection.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/late_fusion_fitted_runtime.py',
]

rgb = 'yolox/yolox_yolox-nano_rgb_copy_40_people.py'
flow = 'yolox/yolox_yolox-nano_flow_st_40_people.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(model=rgb, checkpoint='checkpoints/yolox_nano_person.pth'),
        flow=dict(model=flow),
    ),
)
