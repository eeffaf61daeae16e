# Table 5: the same on the layers of its student.
_base_ = [
    '../_base_/datasets/nyud2_shared_hha.py',
    '../_base_/models/zero_shot_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/default_runtime.py',
]

model = _base_.zero_shot.hha
