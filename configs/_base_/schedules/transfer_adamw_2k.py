# Short supervision transfer of small networks.
_base_ = './sgd_40k.py'

train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=2000, val_interval=200)
val_evaluator = dict(_delete_=True, type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.01)
)
param_scheduler = dict(milestones=[1600])
auto_scale_lr = dict(base_batch_size=4)
