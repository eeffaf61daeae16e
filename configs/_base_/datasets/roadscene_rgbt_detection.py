_base_ = ['./roadscene_rgbt.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
boxes = dict(
    metainfo=dict(classes=_base_.classes),
    proposal_file='data/roadscene_rgbt/proposals.pkl',
    **_base_.files,
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, _base_.large],
            ),
            _base_.pack,
        ],
        **boxes,
    )
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.large],
            ),
            _base_.load_boxes,
            _base_.pack,
        ],
        **boxes,
    )
)
test_dataloader = val_dataloader
