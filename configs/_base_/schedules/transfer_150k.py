# Supervision transfer VGG -> AlexNet: as transfer_100k.py, but longer.
_base_ = './transfer_100k.py'

train_cfg = dict(max_iters=150000)
param_scheduler = dict(milestones=[90000, 135000])
