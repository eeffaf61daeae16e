# The many labelled RGB images.
_base_ = './synthetic_rgbd_detection.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, rgb=_base_.statistics.rgb)
)
train_dataloader = dict(
    dataset=dict(
        ann_file='annotations_rgb.json',
        proposal_file='proposals_rgb.pkl',
        use=['rgb'],
    )
)
val_dataloader = dict(dataset=dict(use=['rgb']))
test_dataloader = val_dataloader
