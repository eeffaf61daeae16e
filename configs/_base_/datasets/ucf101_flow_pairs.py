_base_ = ['./ucf101_flow.py', './flow_pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
train_dataloader = dict(
    dataset=dict(ann_file='trainlist01.txt', **_base_.files)
)
val_dataloader = dict(dataset=dict(ann_file='testlist01.txt', **_base_.files))
test_dataloader = val_dataloader
