_base_ = './people_flow.py'

dataset = dict(type='mmxdistill.PairedDataset', **_base_.pairs)
still = [_base_.resize, _base_.pack]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file=_base_.train_file, pipeline=_base_.moving, **dataset
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(ann_file=_base_.train_file, pipeline=still, **dataset),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(ann_file=_base_.test_file, pipeline=still, **dataset),
)
val_evaluator = dict(type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
