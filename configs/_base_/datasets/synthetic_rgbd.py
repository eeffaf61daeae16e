# Generated rooms (tools/dataset_converters/make_synthetic_rgbd.py): labelled
# RGB images are plenty (split rgb), labelled depth images few (train),
# unlabelled pairs plenty (pairs).
_base_ = './paired.py'

data_root = 'data/synthetic_rgbd/'
metainfo = dict(classes=('box', 'chair', 'lamp', 'table', 'television'))
# Networks trained from scratch want unit variance; Caffe's weights do not.
unit = dict(mean=[102.9801, 115.9465, 122.7717], std=[57.375, 57.12, 58.395])
statistics = dict(rgb=unit, hha=unit)

files = dict(
    data_root=data_root,
    modalities=dict(
        rgb=dict(path='color/{stem}.jpg', pipeline=_base_.load_color),
        hha=dict(
            path='depth/{stem}.png',
            pipeline=[
                dict(type='mmxdistill.LoadDepthFromFile', mask='raw_depth'),
                dict(
                    type='mmxdistill.EncodeHHA',
                    camera=data_root + 'camera.json',
                ),
            ],
        ),
        raw_depth='depth_raw/{stem}.png',
    ),
)
resize = dict(type='mmxdistill.CaffeResize', scale=160, max_size=224)
move_train = dict(
    type='mmxdistill.FastProposalBroadcaster',
    transforms=[_base_.flip, resize],
)
move_test = dict(
    type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
)
pairs = dict(
    train=dict(
        ann_file='pairs.txt',
        pipeline=[_base_.flip, resize, _base_.pack],
        **files,
    ),
    test=dict(
        ann_file='annotations_test.json',
        pipeline=[resize, _base_.pack],
        **files,
    ),
)
detection = dict(
    train=dict(
        metainfo=metainfo,
        pipeline=[
            _base_.load_proposals,
            _base_.load_boxes,
            move_train,
            _base_.pack,
        ],
        **files,
    ),
    test=dict(
        metainfo=metainfo,
        pipeline=[
            _base_.load_proposals,
            move_test,
            _base_.load_boxes,
            _base_.pack,
        ],
        **files,
    ),
)
rgb_train = dict(
    ann_file='annotations_rgb.json', proposal_file='proposals_rgb.pkl'
)
