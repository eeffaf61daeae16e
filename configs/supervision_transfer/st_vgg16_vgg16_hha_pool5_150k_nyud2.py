# Section 4.1: VGG16 teaches VGG16. The schedule of this one is not published.
_base_ = [
    '../_base_/datasets/nyud2_pairs.py',
    '../_base_/models/st_vgg16_pool5.py',
    '../_base_/schedules/transfer_150k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
