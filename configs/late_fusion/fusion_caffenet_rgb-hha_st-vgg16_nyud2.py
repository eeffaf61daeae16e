# Table 1, 3D: RGB and the detector of 2D.
_base_ = './fusion_caffenet_rgb-hha_nyud2.py'

hha = 'fast_rcnn/fast_rcnn_caffenet_hha_st-vgg16_40k_nyud2.py'
model = dict(streams=dict(hha=dict(model=hha)))
