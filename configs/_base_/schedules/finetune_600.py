# Short fine-tuning of ImageNet weights.
_base_ = './adamw_600.py'

train_dataloader = dict(batch_size=2)
optim_wrapper = dict(optimizer=dict(lr=0.0002))
