_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=2000, val_interval=2000)
param_scheduler = dict(milestones=[1500])
