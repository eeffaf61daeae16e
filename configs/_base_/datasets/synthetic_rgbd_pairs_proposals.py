# As synthetic_rgbd_pairs.py, with proposals, for a transfer at fc6 or fc7.
_base_ = './synthetic_rgbd_pairs.py'

load_proposals = dict(type='LoadProposals')
train_dataloader = dict(
    dataset=dict(
        proposal_file='proposals_pairs.pkl',
        pipeline=[
            load_proposals,
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
        proposal_file='proposals_test.pkl',
        pipeline=[
            load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.resize],
            ),
            _base_.pack,
        ],
    )
)
test_dataloader = val_dataloader
