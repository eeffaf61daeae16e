# Experiment 1A: nothing but the few labelled HHA images, trained longer and
# at a higher rate.
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
train_cfg = dict(max_iters=100000)
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[30000, 60000, 90000])
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
