_base_ = './fast_rcnn_squeezenet_thermal_copy_600_roadscene.py'

model = dict(
    backbone=dict(init_cfg=dict(_delete_=True, type='Kaiming', layer='Conv2d'))
)
