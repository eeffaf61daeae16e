# Tests on three videos: MOT16-09 of the pairs, and every other frame of
# TUD-Campus and TUD-Stadtmitte (25 a second).
_base_ = './people_flow.py'

kind = dict(
    type='mmxdistill.PairedCocoDataset',
    metainfo=dict(classes=_base_.classes),
)
load_boxes = dict(type='LoadAnnotations', with_bbox=True)
# Boxes last: detections are evaluated in the original image.
still = dict(
    test_mode=True,
    pipeline=[_base_.resize, load_boxes, _base_.pack],
    **kind,
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file=_base_.train_file,
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[load_boxes, *_base_.moving],
        **kind,
        **_base_.pairs,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file=_base_.train_file,
        indices=list(range(0, 313, 3)),
        **still,
        **_base_.pairs,
    ),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        type='ConcatDataset',
        datasets=[
            dict(ann_file=_base_.test_file, **still, **_base_.pairs),
            dict(
                ann_file='annotations_test.json',
                indices=list(range(0, 250, 2)),
                **still,
                **_base_.videos,
            ),
        ],
    ),
)
val_evaluator = dict(type='mmxdistill.ClasswiseVOCMetric')
test_evaluator = val_evaluator
