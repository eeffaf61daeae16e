# Table 1, 1D: starts from the student of AlexNet's transfer; fc6, fc7, class
# scores and boxes are random.
_base_ = [
    '../_base_/datasets/nyud2_detection_hha.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(geometry='hha'),
)
load_from = (
    'work_dirs/st_caffenet_caffenet_hha_pool5_100k_nyud2/iter_100000.pth'
)
