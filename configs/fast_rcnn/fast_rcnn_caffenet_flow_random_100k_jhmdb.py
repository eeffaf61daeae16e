# Table 7: flow, from random weights, with the schedule of Table 1, 1A.
_base_ = './fast_rcnn_caffenet_flow_st_40k_jhmdb.py'

load_from = None
train_cfg = dict(max_iters=100000)
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[30000, 60000, 90000])
