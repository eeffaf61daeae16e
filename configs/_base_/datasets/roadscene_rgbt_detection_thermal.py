_base_ = './roadscene_rgbt_detection.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, thermal=_base_.statistics.thermal)
)
train_dataloader = dict(dataset=dict(use=['thermal']))
val_dataloader = dict(dataset=dict(use=['thermal']))
test_dataloader = val_dataloader
