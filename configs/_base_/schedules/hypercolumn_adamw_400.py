# Mask heads of small networks.
_base_ = './adamw_2k.py'

train_cfg = dict(max_iters=400, val_interval=400)
param_scheduler = dict(milestones=[300])
