# This is split 1; change the files for the others.
_base_ = ['./jhmdb_flow.py', './flow_pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
train_dataloader = dict(
    dataset=dict(ann_file='annotations_train1.json', **_base_.files)
)
val_dataloader = dict(
    dataset=dict(ann_file='annotations_test1.json', **_base_.files)
)
test_dataloader = val_dataloader
