# Table 1, 1A: nothing but the few labelled HHA images, trained longer and
# at a higher rate.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = None
train_cfg = dict(max_iters=100000)
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[30000, 60000, 90000])
