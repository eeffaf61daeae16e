# Disparity three times in place of HHA.
_base_ = './synthetic_rgbd_pairs.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, rgb=_base_.unit, disparity=_base_.unit)
)
disparity = dict(
    modalities=dict(
        _delete_=True,
        rgb=_base_.files.modalities.rgb,
        disparity=dict(
            path='depth/{stem}.png',
            pipeline=[
                dict(type='mmxdistill.LoadDepthFromFile'),
                dict(type='mmxdistill.EncodeDisparity'),
            ],
        ),
    )
)
train_dataloader = dict(dataset=disparity)
val_dataloader = dict(dataset=disparity)
test_dataloader = val_dataloader
