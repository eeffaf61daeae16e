# As adamw_2k.py, for a few labelled images.
_base_ = './sgd_40k.py'

train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=300, val_interval=300)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.01)
)
param_scheduler = dict(milestones=[225])
auto_scale_lr = dict(base_batch_size=4)
