# As Table 1, 2B: only fc6, fc7, class scores and boxes learn.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

model = dict(backbone=dict(frozen_stages=5))
