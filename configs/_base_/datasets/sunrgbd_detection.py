_base_ = ['./sunrgbd.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
train_dataloader = dict(
    dataset=dict(
        type='mmxdistill.NYUD2Dataset',
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[flip, resize],
            ),
            _base_.pack,
        ],
        **_base_.files,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmxdistill.NYUD2Dataset',
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ],
        **_base_.files,
    )
)
test_dataloader = val_dataloader
