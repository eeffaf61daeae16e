_base_ = [
    '../_base_/datasets/kitchen_rgbd.py',
    '../_base_/models/st_squeezenet_fire9.py',
    '../_base_/schedules/transfer_finetune_600.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=_base_.statistics),
    modalities=dict(teacher='rgb', student='hha'),
)
train_dataloader = dict(dataset=_base_.pairs.train)
val_dataloader = dict(dataset=_base_.pairs.test)
test_dataloader = val_dataloader
