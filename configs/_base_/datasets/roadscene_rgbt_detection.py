_base_ = ['./roadscene_rgbt.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(
    metainfo=dict(classes=_base_.classes),
    proposal_file='data/roadscene_rgbt/proposals.pkl',
    **_base_.files,
)
train_dataloader = dict(dataset=boxes)
val_dataloader = dict(dataset=boxes)
test_dataloader = val_dataloader
