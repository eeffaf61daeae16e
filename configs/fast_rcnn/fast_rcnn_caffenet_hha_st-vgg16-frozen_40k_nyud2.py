# Table 1, 2C: as 2D, and only fc6, fc7, class scores and boxes learn.
_base_ = './fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2.py'

model = dict(backbone=dict(frozen_stages=5))
