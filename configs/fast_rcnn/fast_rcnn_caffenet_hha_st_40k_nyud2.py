# Experiment 1C: starts from the student of the supervision transfer; fc6, fc7,
# class scores and boxes are random.
_base_ = [
    '../_base_/datasets/nyud2.py',
    '../_base_/models/fast_rcnn_caffenet.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/fast_rcnn_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=dict(hha=_base_.statistics.hha)),
    backbone=dict(geometry='hha'),
)
load_from = (
    'work_dirs/st_caffenet_caffenet_hha_pool5_100k_nyud2/iter_100000.pth'
)
train_dataloader = dict(
    sampler=dict(_delete_=True, **_base_.epochs),
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(**part, use=['hha']) for part in _base_.detection.train
        ],
    ),
)
val_dataloader = dict(dataset=dict(**_base_.detection.val, use=['hha']))
test_dataloader = val_dataloader
