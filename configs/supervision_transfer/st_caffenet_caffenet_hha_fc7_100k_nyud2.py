# Table 4: fc7 of 64 proposals an image.
_base_ = [
    '../_base_/datasets/nyud2_pairs_proposals.py',
    '../_base_/models/st_fast_rcnn_caffenet_fc7.py',
    '../_base_/schedules/transfer_100k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
