# Short supervision transfer of small networks: as adamw_2k.py, measured more
# often.
_base_ = './adamw_2k.py'

train_cfg = dict(val_interval=200)
