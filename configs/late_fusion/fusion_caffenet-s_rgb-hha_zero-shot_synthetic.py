# As Table 5: both.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_shared.py',
    '../_base_/models/zero_shot_caffenet-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/late_fusion_runtime.py',
]

rgb, hha = _base_.zero_shot.rgb, _base_.zero_shot.hha
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
