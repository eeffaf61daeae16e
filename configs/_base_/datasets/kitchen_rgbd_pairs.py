_base_ = ['./kitchen_rgbd.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
train_dataloader = dict(dataset=_base_.files)
val_dataloader = dict(dataset=_base_.files)
test_dataloader = val_dataloader
