# Supervision transfer AlexNet -> AlexNet: 100K iterations of 2 images. The
# learning rate and its steps were not published; these train stably with the
# energy-normalised loss.
_base_ = './sgd_40k.py'

train_cfg = dict(max_iters=100000, val_interval=10000)
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = dict(milestones=[60000, 90000])
