# Trained on train, tested on val. Starts from the ImageNet CaffeNet (converted
# by tools/model_converters/caffe_to_mm.py); class scores and boxes are random.
_base_ = [
    '../_base_/datasets/nyud2_detection_rgb.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'checkpoints/caffenet.pth'
