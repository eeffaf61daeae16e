# Section 4.1: starts from the transfer with the thresholded sigmoid loss.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = (
    'work_dirs/st_caffenet_caffenet_hha_pool5-sigmoid_100k_nyud2/'
    'iter_100000.pth'
)
