# The 113 pairs without labels, and 64 of LLVIP and MSRS.
_base_ = './roadscene_416.py'

more = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/rgbt_extra/',
    modalities=dict(
        rgb=dict(path='pairs/visible/{stem}.jpg', pipeline=_base_.load_rgb),
        thermal=dict(
            path='pairs/thermal/{stem}.jpg', pipeline=_base_.load_thermal
        ),
    ),
)
kind = dict(type='mmxdistill.PairedDataset', pipeline=_base_.moving)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(ann_file='unlabelled.txt', **kind, **_base_.files),
            dict(**kind, **more),
        ],
    ),
    **_base_.single,
)
still = dict(
    type='mmxdistill.PairedDataset',
    pipeline=[_base_.resize, _base_.pack],
    **_base_.files,
)
val_dataloader = dict(
    dataset=dict(ann_file='annotations_train.json', **still), **_base_.single
)
test_dataloader = dict(
    dataset=dict(ann_file='annotations_test.json', **still), **_base_.single
)
val_evaluator = dict(type='mmxdistill.TransferMetric')
test_evaluator = val_evaluator
