# NYUD2 with instance masks. Trained on train, tested on val. The paper's
# regions are made of superpixels: docs/region_detection.md.
_base_ = ['./nyud2.py', './regions.py']

data_preprocessor = dict(modalities=_base_.statistics)
pipeline = [
    dict(type='LoadProposals'),  # all 2000 or so
    dict(
        type='mmxdistill.FastProposalBroadcaster',
        transforms=[
            dict(type='mmxdistill.CaffeResize', scale=688, max_size=1000)
        ],
    ),
    _base_.load_regions,
    _base_.pack,
]
files = dict(
    type='mmxdistill.NYUD2Dataset',
    data_root=_base_.data_root,
    modalities=_base_.images,
    proposal_file='proposals.pkl',
    pipeline=pipeline,
)
train_dataloader = dict(
    dataset=dict(dataset=dict(ann_file='annotations_train.json', **files))
)
val_dataloader = dict(dataset=dict(ann_file='annotations_val.json', **files))
test_dataloader = val_dataloader
