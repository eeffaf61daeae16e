# Table 5: the RGB detector, which has seen no image of NYUD2. Its settings are
# not published: these are Girshick's for COCO and VGG_CNN_M_1024.
_base_ = [
    '../_base_/datasets/coco_detection_rgb.py',
    '../_base_/models/fast_rcnn_caffenet_coco.py',
    '../_base_/schedules/sgd_280k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'checkpoints/caffenet.pth'
