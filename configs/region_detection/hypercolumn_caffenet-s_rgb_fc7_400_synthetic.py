# As hypercolumn_caffenet-s_rgb_400_synthetic.py, from fc7 alone.
_base_ = './hypercolumn_caffenet-s_rgb_400_synthetic.py'

model = dict(
    backbone=dict(out_features=('conv5',)),
    roi_head=dict(mask_head=dict(maps=dict(_delete_=True))),
)
