# Supervision transfer. The data preprocessor is that of the data set; leaves
# choose networks, modalities and features.
model = dict(
    type='mmxdistill.SupervisionTransfer',
    # 32: the sizes at which the pool5 grids of VGG16 and both AlexNet
    # geometries agree.
    data_preprocessor=dict(pad_size_divisor=32),
)
