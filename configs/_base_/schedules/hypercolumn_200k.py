# Mask heads of the SDS networks: 10K updates of 20 passes, one image and five
# boxes each, at a constant rate; fcfc7 ten times slower, and nearly without
# decay.
_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=200000, val_interval=200000)
optim_wrapper = dict(
    type='mmxdistill.CaffeOptimWrapper',
    accumulative_counts=20,
    optimizer=dict(weight_decay=0.001),
    paramwise_cfg=dict(
        custom_keys={
            'fcfc7.weight': dict(lr_mult=0.1, decay_mult=0.1),
            'fcfc7.bias': dict(lr_mult=0.2, decay_mult=0.0),
        }
    ),
)
param_scheduler = dict(milestones=[])
auto_scale_lr = dict(base_batch_size=1)
