_base_ = './jhmdb_flow_detection.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, flow=_base_.statistics.flow)
)
train_dataloader = dict(dataset=dict(use=['flow']))
val_dataloader = dict(dataset=dict(use=['flow']))
test_dataloader = val_dataloader
