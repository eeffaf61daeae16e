# Table 5: the detector for COCO, of whose classes those of NYUD2 are kept.
_base_ = [
    '../_base_/datasets/nyud2_shared_rgb.py',
    '../_base_/models/zero_shot_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/default_runtime.py',
]

model = _base_.zero_shot.rgb
