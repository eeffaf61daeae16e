# As Table 5: the RGB detector, of whose classes some are kept.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_shared_rgb.py',
    '../_base_/models/zero_shot_caffenet-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/default_runtime.py',
]

model = _base_.zero_shot.rgb
