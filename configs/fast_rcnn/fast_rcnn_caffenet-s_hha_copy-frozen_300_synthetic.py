# As Table 1, 2A: only fc6, fc7, class scores and boxes learn.
_base_ = './fast_rcnn_caffenet-s_hha_copy_300_synthetic.py'

model = dict(backbone=dict(frozen_stages=5))
