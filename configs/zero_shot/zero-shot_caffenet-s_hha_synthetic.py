# As Table 5: the same on the layers of its student.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_shared_hha.py',
    '../_base_/models/zero_shot_caffenet-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/default_runtime.py',
]

model = _base_.zero_shot.hha
