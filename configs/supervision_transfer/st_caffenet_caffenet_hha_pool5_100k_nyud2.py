# Table 1, 1D: AlexNet, fine-tuned for detection on RGB, teaches AlexNet.
_base_ = [
    '../_base_/datasets/nyud2_pairs.py',
    '../_base_/models/st_caffenet_pool5.py',
    '../_base_/schedules/transfer_100k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
