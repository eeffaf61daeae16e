# As Table 1, 1C: the teacher has not been trained for detection.
_base_ = './st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_objects_2k_'
    'synthetic/iter_2000.pth'
)
