# Short fine-tuning of ImageNet weights.
_base_ = './adamw_2k.py'

train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(optimizer=dict(lr=0.0002))
param_scheduler = dict(milestones=[450])
auto_scale_lr = dict(base_batch_size=2)
