# As pairs.py, for optical flow: what is mirrored moves the other way. Frames
# are small (UCF101 and JHMDB 320x240): the size of Fast R-CNN.
_base_ = './pairs.py'

flip_flow = dict(type='mmxdistill.FlipFlow')
resize = dict(type='mmxdistill.CaffeResize', scale=600, max_size=1000)
train_dataloader = dict(
    dataset=dict(pipeline=[_base_.flip, flip_flow, resize, _base_.pack])
)
val_dataloader = dict(dataset=dict(pipeline=[resize, _base_.pack]))
test_dataloader = val_dataloader
