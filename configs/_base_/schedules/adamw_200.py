# Very short training of small detectors with BatchNorm. Validation never
# runs: held-out data are for the test.
_base_ = './adamw_2k.py'

train_cfg = dict(max_iters=200, val_interval=200, val_begin=201)
param_scheduler = dict(milestones=[150])
