# Fast R-CNN for COCO: as sgd_40k.py, but longer.
_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=280000)
param_scheduler = dict(milestones=[200000])
