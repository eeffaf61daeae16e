# Table 3: RGB is VGG16.
_base_ = './hypercolumn_caffenet_rgb-hha_st-vgg16_nyud2-trainval.py'

rgb = 'region_detection/hypercolumn_vgg16_rgb_200k_nyud2-trainval.py'
model = dict(streams=dict(rgb=dict(model=rgb)))
