# As fast_rcnn_caffenet_rgb_40k_nyud2.py, from the ImageNet VGG16 and at the
# authors' size for it.
_base_ = [
    '../_base_/datasets/nyud2_detection_600_rgb.py',
    '../_base_/models/fast_rcnn_vgg16.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'checkpoints/vgg16.pth'
