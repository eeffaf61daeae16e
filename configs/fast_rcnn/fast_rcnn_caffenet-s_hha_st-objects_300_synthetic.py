# As Table 1, 1C: as 1D, with a teacher that names objects.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

load_from = (
    'work_dirs/st_caffenet-s-objects_caffenet-s_hha_pool5_2k_synthetic/'
    'iter_2000.pth'
)
