# Section 4.1: starts from VGG16's transfer to VGG16.
_base_ = [
    '../_base_/datasets/nyud2_detection_600_hha.py',
    '../_base_/models/fast_rcnn_vgg16.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'work_dirs/st_vgg16_vgg16_hha_pool5_150k_nyud2/iter_150000.pth'
