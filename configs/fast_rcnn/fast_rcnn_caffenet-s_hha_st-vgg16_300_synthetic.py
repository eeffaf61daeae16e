# As Table 1, 2D: starts from the student of VGG16.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

load_from = (
    'work_dirs/st_vgg16-s_caffenet-s_hha_pool5_2k_synthetic/iter_2000.pth'
)
