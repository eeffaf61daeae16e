# As nyud2_detection.py, with a shorter side of 600 pixels: the size at which
# the authors trained VGG16.
_base_ = './nyud2_detection.py'

resize = dict(type='mmxdistill.CaffeResize', scale=600, max_size=2000)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            pipeline=[
                _base_.all_proposals,
                _base_.load_boxes,
                dict(
                    type='mmxdistill.FastProposalBroadcaster',
                    transforms=[_base_.flip, resize],
                ),
                _base_.pack,
            ]
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.all_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ]
    )
)
test_dataloader = val_dataloader
