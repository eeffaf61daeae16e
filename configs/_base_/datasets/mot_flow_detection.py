_base_ = ['./mot_flow.py', './flow_detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(
    metainfo=dict(classes=_base_.classes),
    **_base_.files,
)
train_dataloader = dict(dataset=boxes)
val_dataloader = dict(dataset=boxes)
test_dataloader = val_dataloader
