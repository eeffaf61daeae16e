# As Table 4: fc7 of 64 proposals an image.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_pairs_proposals.py',
    '../_base_/models/st_fast_rcnn_caffenet-s_fc7.py',
    '../_base_/schedules/transfer_adamw_2k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
