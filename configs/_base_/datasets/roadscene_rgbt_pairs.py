# The 113 pairs without labels join the transfer.
_base_ = ['./roadscene_rgbt.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
train_dataloader = dict(
    dataset=dict(
        ann_file=['annotations_train.json', 'unlabelled.txt'],
        pipeline=[_base_.flip, _base_.large, _base_.pack],
        **_base_.files,
    )
)
val_dataloader = dict(
    dataset=dict(pipeline=[_base_.large, _base_.pack], **_base_.files)
)
test_dataloader = val_dataloader
