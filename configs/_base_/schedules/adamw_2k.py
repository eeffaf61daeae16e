# Short training of small networks from scratch.
_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=2000, val_interval=2000)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.01)
)
param_scheduler = dict(milestones=[1600])
auto_scale_lr = dict(base_batch_size=4)
