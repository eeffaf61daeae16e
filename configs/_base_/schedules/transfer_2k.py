_base_ = './transfer_100k.py'

train_cfg = dict(max_iters=2000, val_interval=200)
param_scheduler = dict(milestones=[1200, 1800])
