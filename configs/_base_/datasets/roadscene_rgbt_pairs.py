# The 113 pairs without labels join the transfer.
_base_ = ['./roadscene_rgbt.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
both = ['annotations_train.json', 'unlabelled.txt']
train_dataloader = dict(dataset=dict(ann_file=both, **_base_.files))
val_dataloader = dict(dataset=_base_.files)
test_dataloader = val_dataloader
