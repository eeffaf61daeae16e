# As hypercolumn_caffenet_rgb-hha_nyud2.py, with VGG16 for RGB.
_base_ = './hypercolumn_caffenet_rgb-hha_nyud2.py'

rgb = 'region_detection/hypercolumn_vgg16_rgb_200k_nyud2.py'
model = dict(streams=dict(rgb=dict(model=rgb)))
