# The list pairs_not_nyud2.txt has no frame of NYUD2: it is the one for a
# transfer that is evaluated on NYUD2.
_base_ = ['./sunrgbd.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
train_dataloader = dict(
    dataset=dict(
        ann_file='pairs_train.txt',
        pipeline=[flip, resize, _base_.pack],
        **_base_.files,
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='pairs_test.txt',
        pipeline=[resize, _base_.pack],
        **_base_.files,
    )
)
test_dataloader = val_dataloader
