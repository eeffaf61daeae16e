_base_ = [
    '../_base_/datasets/synthetic_rgbd_detection_rgb.py',
    '../_base_/models/fast_rcnn_vgg16-s.py',
    '../_base_/schedules/adamw_2k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
