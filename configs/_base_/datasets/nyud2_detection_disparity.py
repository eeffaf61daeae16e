# Disparity three times in place of HHA: see nyud2_pairs_disparity.py. The RGB
# image names the sample.
_base_ = './nyud2_detection.py'

data_preprocessor = dict(
    modalities=dict(_delete_=True, disparity=_base_.means)
)
disparity = dict(
    use=['disparity'],
    modalities=dict(
        _delete_=True,
        rgb=_base_.images.rgb,
        disparity=dict(
            path='depth/{stem}.png',
            pipeline=[
                dict(type='mmxdistill.LoadDepthFromFile'),
                dict(type='mmxdistill.EncodeDisparity'),
            ],
        ),
    ),
)
train_dataloader = dict(dataset=dict(dataset=disparity))
val_dataloader = dict(dataset=disparity)
test_dataloader = val_dataloader
