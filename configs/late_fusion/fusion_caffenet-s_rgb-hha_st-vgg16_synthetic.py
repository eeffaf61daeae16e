# As Table 1, 3D.
_base_ = './fusion_caffenet-s_rgb-hha_synthetic.py'

hha = 'fast_rcnn/fast_rcnn_caffenet-s_hha_st-vgg16_300_synthetic.py'
model = dict(streams=dict(hha=dict(model=hha)))
