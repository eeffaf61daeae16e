# JHMDB by tools/dataset_converters/jhmdb.py: 21 actions in frames and flow.
# This is split 1; change the files for the others.
_base_ = './paired_flow.py'

statistics = dict(rgb=_base_.caffe_imagenet, flow=_base_.flow_image)
files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/jhmdb/',
    metainfo=dict(
        classes=(
            'brush_hair', 'catch', 'clap', 'climb_stairs', 'golf', 'jump',
            'kick_ball', 'pick', 'pour', 'pullup', 'push', 'run',
            'shoot_ball', 'shoot_bow', 'shoot_gun', 'sit', 'stand',
            'swing_baseball', 'throw', 'walk', 'wave',
        )
    ),
    modalities=dict(
        rgb=dict(path='frames/{file_name}', pipeline=_base_.load_color),
        flow=dict(path='flow/{video}/{stem}.png', pipeline=_base_.load_color),
    ),
)  # fmt: skip
split = dict(
    train=dict(ann_file='annotations_train1.json', **files),
    test=dict(ann_file='annotations_test1.json', **files),
)
pairs = split
# The last column of a box belongs to it.
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
detection = dict(
    train=dict(
        proposal_file='proposals.pkl',
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[flip, _base_.flip_flow, _base_.resize],
            ),
            _base_.pack,
        ],
        **split['train'],
    ),
    test=dict(proposal_file='proposals.pkl', **split['test']),
)
