# Short supervision transfer from and to ImageNet weights: as finetune_600.py,
# measured more often.
_base_ = './finetune_600.py'

train_cfg = dict(val_interval=100)
