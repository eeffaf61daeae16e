# As nyud2_pairs.py, with proposals, for a transfer at fc6 or fc7: make
# pairs/proposals.pkl from pairs/images, as for data without MCG boxes.
_base_ = './nyud2_pairs.py'

load_proposals = dict(type='LoadProposals')
train_dataloader = dict(
    dataset=dict(
        proposal_file='pairs/proposals.pkl',
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
        proposal_file='proposals.pkl',
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
