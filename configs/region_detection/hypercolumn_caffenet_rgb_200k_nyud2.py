# fc7 + pool2 + conv4 on the RGB detector, which stays frozen.
_base_ = [
    '../_base_/datasets/nyud2_regions_rgb.py',
    '../_base_/models/hypercolumn_caffenet.py',
    '../_base_/schedules/hypercolumn_200k.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/iter_40000.pth'
