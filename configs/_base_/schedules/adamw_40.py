# As adamw_200.py, for pretrained detectors and a few labelled images.
_base_ = './adamw_200.py'

train_cfg = dict(max_iters=40, val_interval=40, val_begin=41)
param_scheduler = dict(milestones=[30])
