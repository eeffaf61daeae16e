# As st_fast_rcnn_caffenet_fc7.py, for the small network.
_base_ = './st_fast_rcnn_caffenet_fc7.py'

detector = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
model = dict(
    teacher=detector,
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/'
    'iter_2000.pth',
    student=detector,
)
