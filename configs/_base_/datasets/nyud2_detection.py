# Trained on train, tested on val. As in Caffe, an epoch has every image and
# its mirror image.
_base_ = ['./nyud2.py', './detection.py']

data_preprocessor = dict(modalities=_base_.statistics)
files = dict(
    type='mmxdistill.NYUD2Dataset',
    data_root=_base_.data_root,
    modalities=_base_.images,
    proposal_file='proposals.pkl',
)
all_proposals = dict(type='LoadProposals')  # 2000 or so
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
train_dataloader = dict(
    sampler=dict(
        _delete_=True, type='mmxdistill.CaffeEpochSampler', batch_size=2
    ),
    dataset=dict(
        _delete_=True,
        type='mmxdistill.MirroredDataset',
        dataset=dict(
            ann_file='annotations_train.json',
            pipeline=[
                all_proposals,
                _base_.load_boxes,
                dict(
                    type='mmxdistill.FastProposalBroadcaster',
                    transforms=[flip, resize],
                ),
                _base_.pack,
            ],
            **files,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations_val.json',
        pipeline=[
            all_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ],
        **files,
    )
)
test_dataloader = val_dataloader
