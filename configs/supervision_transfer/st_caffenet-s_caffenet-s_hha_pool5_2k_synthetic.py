# As Table 1, 1D. (Both geometries agree at pool5 of these images.)
_base_ = [
    '../_base_/datasets/synthetic_rgbd_pairs.py',
    '../_base_/models/st_caffenet-s_pool5.py',
    '../_base_/schedules/transfer_adamw_2k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
