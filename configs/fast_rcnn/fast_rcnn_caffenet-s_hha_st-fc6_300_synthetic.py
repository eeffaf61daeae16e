# As Table 4: starts from the transfer at fc6.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

load_from = (
    'work_dirs/st_caffenet-s_caffenet-s_hha_fc6_2k_synthetic/iter_2000.pth'
)
