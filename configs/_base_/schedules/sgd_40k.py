# Fast R-CNN fine-tuning (Caffe solver): 40K iterations of 2 images, lr 0.001,
# divided by 10 after 30K. Leaves shorten it.
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=40000, val_interval=10000
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='mmxdistill.CaffeSGD',
        lr=0.001,
        momentum=0.9,
        weight_decay=0.0005,
    ),
    # Caffe's lr_mult 2 and decay_mult 0 of biases.
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
)
param_scheduler = dict(
    type='MultiStepLR', by_epoch=False, milestones=[30000], gamma=0.1
)
auto_scale_lr = dict(enable=False, base_batch_size=2)
