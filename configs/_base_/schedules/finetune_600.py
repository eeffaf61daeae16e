# Short fine-tuning of ImageNet weights.
_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=600, val_interval=600)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0002, weight_decay=0.01)
)
param_scheduler = dict(milestones=[450])
