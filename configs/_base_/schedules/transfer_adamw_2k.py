# Short supervision transfer of small networks.
_base_ = './adamw_2k.py'

train_cfg = dict(val_interval=200)
val_evaluator = dict(_delete_=True, type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
