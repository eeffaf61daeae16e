_base_ = './finetune_600.py'

train_cfg = dict(val_interval=100)
val_evaluator = dict(_delete_=True, type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
