# Loaders for Fast R-CNN and late fusion: boxes and proposals.
_base_ = './paired.py'

load_proposals = dict(type='LoadProposals', num_max_proposals=2000)
load_boxes = dict(type='LoadAnnotations', with_bbox=True)
train_dataloader = dict(
    dataset=dict(
        type='mmxdistill.PairedCocoDataset',
        ann_file='annotations_train.json',
        proposal_file='proposals.pkl',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            load_proposals,
            load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, _base_.resize],
            ),
            _base_.pack,
        ],
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmxdistill.PairedCocoDataset',
        ann_file='annotations_test.json',
        proposal_file='proposals.pkl',
        test_mode=True,
        # Boxes last: detections are evaluated in the original image.
        pipeline=[
            load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.resize],
            ),
            load_boxes,
            _base_.pack,
        ],
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmxdistill.ClasswiseVOCMetric', max_per_image=40)
test_evaluator = val_evaluator
