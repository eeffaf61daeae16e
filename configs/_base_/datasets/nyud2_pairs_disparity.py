# Disparity three times in place of HHA; the depth images come from the
# official file.
_base_ = './nyud2_pairs.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, rgb=_base_.means, disparity=_base_.means)
)
load_disparity = [
    dict(type='mmxdistill.LoadDepthFromFile'),
    dict(type='mmxdistill.EncodeDisparity'),
]
train_dataloader = dict(
    dataset=dict(
        modalities=dict(
            _delete_=True,
            rgb=dict(path='pairs/images/{stem}.png', pipeline=_base_.load),
            disparity=dict(
                path='pairs/depth/{stem}.png', pipeline=load_disparity
            ),
        )
    )
)
val_dataloader = dict(
    dataset=dict(
        modalities=dict(
            _delete_=True,
            rgb=_base_.images.rgb,
            disparity=dict(path='depth/{stem}.png', pipeline=load_disparity),
        )
    )
)
test_dataloader = val_dataloader
