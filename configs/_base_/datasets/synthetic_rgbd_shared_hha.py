_base_ = './synthetic_rgbd_shared.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, hha=_base_.statistics.hha)
)
train_dataloader = dict(dataset=dict(use=['hha']))
val_dataloader = dict(dataset=dict(use=['hha']))
test_dataloader = val_dataloader
