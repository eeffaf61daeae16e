# What data sets with optical flow share: flow images are loaded like any
# image, and what is mirrored moves the other way.
_base_ = './paired.py'

# The level of no motion, in all three channels.
flow_image = dict(mean=[128.0, 128.0, 128.0])

# Frames are small (UCF101 and JHMDB 320x240): the size of Fast R-CNN.
resize = dict(type='mmxdistill.CaffeResize', scale=600, max_size=1000)
flip_flow = dict(type='mmxdistill.FlipFlow')
pairs = dict(
    train=dict(pipeline=[_base_.flip, flip_flow, resize, _base_.pack]),
    test=dict(pipeline=[resize, _base_.pack]),
)
detection = dict(
    train=dict(
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[_base_.flip, flip_flow, resize],
            ),
            _base_.pack,
        ]
    ),
    test=dict(
        pipeline=[
            _base_.load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            _base_.load_boxes,
            _base_.pack,
        ]
    ),
)
