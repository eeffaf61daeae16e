# As section 4.1: starts from the transfer with the thresholded sigmoid loss.
_base_ = './fast_rcnn_caffenet-s_hha_st_300_synthetic.py'

load_from = (
    'work_dirs/st_caffenet-s_caffenet-s_hha_pool5-sigmoid_2k_synthetic/'
    'iter_2000.pth'
)
