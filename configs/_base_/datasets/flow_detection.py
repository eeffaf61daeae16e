# As detection.py, for optical flow: see flow_pairs.py.
_base_ = './detection.py'

flip_flow = dict(type='mmxdistill.FlipFlow')
resize = dict(type='mmxdistill.CaffeResize', scale=600, max_size=1000)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, flip_flow, resize],
            ),
            _base_.pack,
        ]
    )
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ]
    )
)
test_dataloader = val_dataloader
