_base_ = './adamw_2k.py'

train_cfg = dict(max_iters=600, val_interval=600)
param_scheduler = dict(milestones=[450])
