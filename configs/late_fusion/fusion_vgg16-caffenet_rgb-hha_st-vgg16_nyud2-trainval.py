# Table 6: RGB is VGG16, at the size of the other.
_base_ = './fusion_caffenet_rgb-hha_st-vgg16_nyud2-trainval.py'

rgb = 'fast_rcnn/fast_rcnn_vgg16_rgb_40k_nyud2-trainval.py'
model = dict(streams=dict(rgb=dict(model=rgb)))
