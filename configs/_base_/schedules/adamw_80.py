# As adamw_200.py, shorter.
_base_ = './adamw_200.py'

train_cfg = dict(max_iters=80, val_interval=80, val_begin=81)
param_scheduler = dict(milestones=[60])
