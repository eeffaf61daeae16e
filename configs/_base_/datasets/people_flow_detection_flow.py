_base_ = './people_flow_detection.py'

data_preprocessor = dict(modalities=dict(_delete_=True, flow=_base_.as_it_is))
only = dict(use=['flow'])
train_dataloader = dict(dataset=only)
val_dataloader = dict(dataset=only)
first, second = _base_.test_dataloader.dataset.datasets
test_dataloader = dict(
    dataset=dict(datasets=[dict(first, **only), dict(second, **only)])
)
