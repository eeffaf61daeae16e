# As st_vgg16_caffenet_pool5.py, for the small networks.
_base_ = './st_caffenet-s_pool5.py'

model = dict(
    teacher=dict(
        _delete_=True,
        type='mmxdistill.VGG16',
        channels=(8, 16, 32, 64, 64),
    ),
    teacher_checkpoint='work_dirs/fast_rcnn_vgg16-s_rgb_2k_synthetic/'
    'iter_2000.pth',
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(),
            scale='auto',
        )
    ],
)
