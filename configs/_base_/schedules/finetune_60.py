# A detector that sees the new modality already is moved a little only.
_base_ = './finetune_600.py'

train_cfg = dict(max_iters=60, val_interval=60, val_begin=61)
optim_wrapper = dict(optimizer=dict(lr=0.0003))
param_scheduler = dict(milestones=[45])
