# As section 4.1: disparity three times in place of HHA.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_pairs_disparity.py',
    '../_base_/models/st_caffenet-s_pool5.py',
    '../_base_/schedules/transfer_adamw_2k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(student='disparity'),
)
