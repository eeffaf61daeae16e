# As hypercolumn_caffenet_hha_200k_nyud2.py, from fc7 alone.
_base_ = './hypercolumn_caffenet_hha_200k_nyud2.py'

model = dict(
    backbone=dict(out_features=('conv5',)),
    roi_head=dict(mask_head=dict(maps=dict(_delete_=True))),
)
