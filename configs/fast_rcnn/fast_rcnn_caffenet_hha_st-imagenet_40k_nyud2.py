# Table 1, 1C: as 1D, with the network of ImageNet as teacher.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = (
    'work_dirs/st_caffenet-imagenet_caffenet_hha_pool5_100k_nyud2/'
    'iter_100000.pth'
)
