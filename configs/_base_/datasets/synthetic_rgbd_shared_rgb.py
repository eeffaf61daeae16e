_base_ = './synthetic_rgbd_shared.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, rgb=_base_.statistics.rgb)
)
train_dataloader = dict(dataset=dict(use=['rgb']))
val_dataloader = dict(dataset=dict(use=['rgb']))
test_dataloader = val_dataloader
