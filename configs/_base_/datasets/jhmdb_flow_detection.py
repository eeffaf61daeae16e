# This is split 1; change the files for the others.
_base_ = ['./jhmdb_flow.py', './flow_detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
train_dataloader = dict(
    dataset=dict(
        type='mmxdistill.JHMDBDataset',
        ann_file='annotations_train1.json',
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[
                    # The last column of a box belongs to it.
                    dict(type='mmxdistill.CaffeRandomFlip', prob=0.5),
                    _base_.flip_flow,
                    _base_.resize,
                ],
            ),
            _base_.pack,
        ],
        **_base_.files,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='mmxdistill.JHMDBDataset',
        ann_file='annotations_test1.json',
        **_base_.files,
    )
)
test_dataloader = val_dataloader
