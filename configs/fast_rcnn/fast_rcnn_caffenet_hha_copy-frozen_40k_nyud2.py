# Table 1, 2A: as 1B, and only fc6, fc7, class scores and boxes learn.
_base_ = './fast_rcnn_caffenet_hha_copy_40k_nyud2.py'

model = dict(backbone=dict(frozen_stages=5))
