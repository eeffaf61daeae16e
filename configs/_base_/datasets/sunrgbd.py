# SUN RGB-D with the 19 classes of NYUD2, as docs/sunrgbd.md makes it. The list
# pairs_not_nyud2.txt has no frame of NYUD2: it is the one for a transfer that
# is evaluated on NYUD2.
_base_ = './nyud2_classes.py'

files = dict(
    data_root='{{$MMXDISTILL_DATA:data}}/sunrgbd/',
    metainfo=dict(classes=_base_.classes),
    modalities=dict(
        rgb=dict(path='images/{stem}.jpg', pipeline=_base_.load_color),
        hha=dict(path='hha/{stem}.png', pipeline=_base_.load_color),
    ),
)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
move_train = dict(
    type='mmxdistill.FastProposalBroadcaster', transforms=[flip, resize]
)
move_test = dict(
    type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
)
pairs = dict(
    train=dict(
        ann_file='pairs_train.txt',
        pipeline=[flip, resize, _base_.pack],
        **files,
    ),
    test=dict(
        ann_file='pairs_test.txt', pipeline=[resize, _base_.pack], **files
    ),
)
detection = dict(
    train=dict(
        proposal_file='proposals.pkl',
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            move_train,
            _base_.pack,
        ],
        **files,
    ),
    test=dict(
        proposal_file='proposals.pkl',
        pipeline=[
            _base_.load_proposals,
            move_test,
            _base_.load_boxes,
            _base_.pack,
        ],
        **files,
    ),
)
