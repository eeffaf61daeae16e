_base_ = ['./kitchen_rgbd.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(
    metainfo=dict(classes=_base_.classes),
    proposal_file='data/kitchen_rgbd/proposals.pkl',
    **_base_.files,
)
train_dataloader = dict(dataset=boxes)
val_dataloader = dict(dataset=boxes)
test_dataloader = val_dataloader
