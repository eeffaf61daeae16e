# Section 4.1: disparity three times in place of HHA, here as 1D.
_base_ = [
    '../_base_/datasets/nyud2_pairs_disparity.py',
    '../_base_/models/st_caffenet_pool5.py',
    '../_base_/schedules/transfer_100k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    modalities=dict(student='disparity'),
)
