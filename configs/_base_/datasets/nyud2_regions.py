# NYUD2 with instance masks and superpixels (the authors' nyud2_sp). Trained on
# train, tested on val.
_base_ = ['./nyud2.py', './regions.py']

data_preprocessor = dict(modalities=_base_.statistics)
files = dict(
    type='mmxdistill.NYUD2Dataset',
    data_root=_base_.data_root,
    # The first modality names the images, also in the proposal file.
    modalities=dict(**_base_.images, superpixels='superpixels/{stem}.png'),
    proposal_file='proposals.pkl',
)
load_proposals = dict(type='LoadProposals')  # all 2000 or so
resize = dict(
    type='mmxdistill.FastProposalBroadcaster',
    transforms=[dict(type='mmxdistill.CaffeResize', scale=688, max_size=1000)],
)
train_dataloader = dict(
    dataset=dict(
        dataset=dict(
            ann_file='annotations_train.json',
            pipeline=[
                load_proposals,
                resize,
                _base_.load_regions,
                _base_.pack,
            ],
            **files,
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='annotations_val.json',
        pipeline=[
            load_proposals,
            resize,
            _base_.load_regions,
            dict(type='mmxdistill.LoadSuperpixels'),
            dict(
                type='PackDetInputs',
                meta_keys=(*_base_.pack.meta_keys, 'superpixels'),
            ),
        ],
        **files,
    )
)
test_dataloader = val_dataloader
