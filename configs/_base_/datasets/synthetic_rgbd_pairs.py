_base_ = ['./synthetic_rgbd.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
resize = dict(type='mmxdistill.CaffeResize', scale=160, max_size=224)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        ann_file='pairs.txt',
        pipeline=[_base_.flip, resize, _base_.pack],
        **_base_.files,
    ),
)
val_dataloader = dict(
    dataset=dict(pipeline=[resize, _base_.pack], **_base_.files)
)
test_dataloader = val_dataloader
