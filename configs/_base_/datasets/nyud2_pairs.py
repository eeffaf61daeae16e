# Video frames of the training scenes of train; the labelled images of val.
_base_ = ['./nyud2.py', './pairs.py']

data_preprocessor = dict(modalities=_base_.statistics)
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
train_dataloader = dict(
    dataset=dict(
        data_root=_base_.data_root,
        ann_file='pairs/train.txt',
        modalities=dict(
            rgb=dict(path='pairs/images/{stem}.png', pipeline=_base_.load),
            hha=dict(path='pairs/hha/{stem}.png', pipeline=_base_.load),
        ),
        pipeline=[flip, resize, _base_.pack],
    )
)
val_dataloader = dict(
    dataset=dict(
        data_root=_base_.data_root,
        ann_file='annotations_val.json',
        modalities=_base_.images,
        pipeline=[resize, _base_.pack],
    )
)
test_dataloader = val_dataloader
