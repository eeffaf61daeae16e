_base_ = ['./synthetic_rgbd.py', './regions.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(metainfo=dict(classes=_base_.classes), **_base_.files)
pipeline = [
    _base_.load_proposals,
    dict(
        type='mmxdistill.FastProposalBroadcaster',
        transforms=[
            dict(type='mmxdistill.CaffeResize', scale=160, max_size=224)
        ],
    ),
    _base_.load_regions,
    _base_.pack,
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        dataset=dict(
            type='mmxdistill.PairedCocoDataset',
            ann_file='annotations_train.json',
            proposal_file='proposals_train.pkl',
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=pipeline,
            **boxes,
        )
    ),
)
val_dataloader = dict(
    dataset=dict(
        proposal_file='proposals_test.pkl', pipeline=pipeline, **boxes
    )
)
test_dataloader = val_dataloader
