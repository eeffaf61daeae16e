_base_ = './roadscene_416_detection.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, thermal=_base_.as_it_is)
)
only = dict(use=['thermal'])
train_dataloader = dict(dataset=only)
val_dataloader = dict(dataset=only)
test_dataloader = dict(
    dataset=dict(datasets=[dict(one, **only) for one in _base_.splits])
)
