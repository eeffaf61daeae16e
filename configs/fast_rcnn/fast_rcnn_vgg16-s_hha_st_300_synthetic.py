# As section 4.1: starts from VGG16's transfer to VGG16.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_detection_hha.py',
    '../_base_/models/fast_rcnn_vgg16-s.py',
    '../_base_/schedules/adamw_300.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'work_dirs/st_vgg16-s_vgg16-s_hha_pool5_2k_synthetic/iter_2000.pth'
