# As section 4.1: VGG16 teaches VGG16.
_base_ = './st_vgg16-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    student=dict(
        _delete_=True, type='mmxdistill.VGG16', channels=(8, 16, 32, 64, 64)
    ),
)
