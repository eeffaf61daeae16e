# Table 1, 2D: VGG16, fine-tuned for detection on RGB, teaches AlexNet.
_base_ = [
    '../_base_/datasets/nyud2_pairs.py',
    '../_base_/models/st_vgg16_caffenet_pool5.py',
    '../_base_/schedules/transfer_150k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
