# Table 6: RGB and HHA that is copied from RGB.
_base_ = './fusion_caffenet_rgb-hha_st-vgg16_nyud2-trainval.py'

hha = 'fast_rcnn/fast_rcnn_caffenet_hha_copy_40k_nyud2-trainval.py'
model = dict(streams=dict(hha=dict(model=hha)))
