# As Table 1, 2D.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_pairs.py',
    '../_base_/models/st_vgg16-s_caffenet-s_pool5.py',
    '../_base_/schedules/transfer_adamw_2k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
