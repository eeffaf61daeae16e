# As adamw_2k.py, for a few labelled images.
_base_ = './adamw_2k.py'

train_cfg = dict(max_iters=300, val_interval=300)
param_scheduler = dict(milestones=[225])
