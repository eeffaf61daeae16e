# CaffeNet at a third of its width, as in fast_rcnn_caffenet-s.py: that of the
# RGB detector teaches one of the HHA geometry.
_base_ = './st_caffenet_pool5.py'

net = dict(
    channels=(32, 64, 96, 96, 64),
    init_cfg=dict(type='Kaiming', layer='Conv2d'),
)
model = dict(
    teacher=net,
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/'
    'iter_2000.pth',
    student=dict(geometry='hha', **net),
)
