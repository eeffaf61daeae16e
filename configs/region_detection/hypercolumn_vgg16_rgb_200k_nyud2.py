# fc7 + pool3 + pool4 on the VGG16 detector.
_base_ = [
    '../_base_/datasets/nyud2_regions_rgb.py',
    '../_base_/models/hypercolumn_vgg16.py',
    '../_base_/schedules/hypercolumn_200k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'work_dirs/fast_rcnn_vgg16_rgb_40k_nyud2/iter_40000.pth'
