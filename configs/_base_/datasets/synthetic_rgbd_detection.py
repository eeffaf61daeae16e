_base_ = ['./synthetic_rgbd.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(metainfo=dict(classes=_base_.classes), **_base_.files)
resize = dict(type='mmxdistill.CaffeResize', scale=160, max_size=224)
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        proposal_file='proposals_train.pkl',
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, resize],
            ),
            _base_.pack,
        ],
        **boxes,
    ),
)
val_dataloader = dict(
    dataset=dict(
        proposal_file='proposals_test.pkl',
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ],
        **boxes,
    )
)
test_dataloader = val_dataloader
