_base_ = './fast_rcnn_squeezenet_hha_copy_600_kitchen.py'

model = dict(
    backbone=dict(init_cfg=dict(_delete_=True, type='Kaiming', layer='Conv2d'))
)
