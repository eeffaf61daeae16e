# Tests on all 108 labelled images: those of the training split come first,
# and count only for what has learnt from no label.
_base_ = './roadscene_416.py'

kind = dict(
    type='mmxdistill.PairedCocoDataset',
    metainfo=dict(classes=_base_.classes),
    **_base_.files,
)
load_boxes = dict(type='LoadAnnotations', with_bbox=True)
# Boxes last: detections are evaluated in the original image.
still = dict(
    test_mode=True,
    pipeline=[_base_.resize, load_boxes, _base_.pack],
    **kind,
)
splits = [
    dict(ann_file=f'annotations_{split}.json', **still)
    for split in ('train', 'test')
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        ann_file='annotations_train.json',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[load_boxes, *_base_.moving],
        **kind,
    ),
    **_base_.single,
)
val_dataloader = dict(dataset=splits[0], **_base_.single)
test_dataloader = dict(
    dataset=dict(type='ConcatDataset', datasets=splits), **_base_.single
)
val_evaluator = dict(type='mmxdistill.ClasswiseVOCMetric')
test_evaluator = val_evaluator
