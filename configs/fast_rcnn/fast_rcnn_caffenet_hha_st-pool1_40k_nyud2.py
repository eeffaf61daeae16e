# Table 4: starts from the transfer at pool1.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = (
    'work_dirs/st_caffenet_caffenet_hha_pool1_100k_nyud2/iter_100000.pth'
)
