# Table 7: flow, from the network that has learned the actions of UCF101.
_base_ = './fast_rcnn_caffenet_flow_st_40k_jhmdb.py'

load_from = 'work_dirs/fast_rcnn_caffenet_flow_copy_40k_ucf101/iter_40000.pth'
