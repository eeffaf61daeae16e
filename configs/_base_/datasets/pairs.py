# Loaders for supervision transfer: pairs without labels.
_base_ = './paired.py'

train_dataloader = dict(
    dataset=dict(
        type='mmxdistill.PairedDataset',
        ann_file='annotations_train.json',
        pipeline=[_base_.flip, _base_.resize, _base_.pack],
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmxdistill.PairedDataset',
        ann_file='annotations_test.json',
        pipeline=[_base_.resize, _base_.pack],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
