# As Table 4: starts from the transfer at pool1.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

load_from = (
    'work_dirs/st_caffenet-s_caffenet-s_hha_pool1_2k_synthetic/iter_2000.pth'
)
