# Generated rooms (tools/dataset_converters/make_synthetic_rgbd.py): labelled
# RGB images are plenty (split rgb), labelled depth images few (train),
# unlabelled pairs plenty (pairs).
_base_ = './paired.py'

data_root = 'data/synthetic_rgbd/'
classes = ('box', 'chair', 'lamp', 'table', 'television')
# Networks trained from scratch want unit variance; Caffe's weights do not.
unit = dict(mean=_base_.caffe_mean, std=[57.375, 57.12, 58.395])
statistics = dict(rgb=unit, hha=unit)

load = dict(
    type='mmxdistill.LoadModalities',
    modalities=dict(
        rgb=[dict(type='LoadImageFromFile')],
        hha=[
            dict(type='mmxdistill.LoadDepthFromFile', mask='raw_depth'),
            dict(
                type='mmxdistill.EncodeHHA', camera=data_root + 'camera.json'
            ),
        ],
    ),
)
resize = dict(type='Resize', scale=(224, 160), keep_ratio=True)
detection_train = [
    load,
    _base_.load_proposals,
    _base_.load_boxes,
    dict(
        type='mmxdistill.FastProposalBroadcaster',
        transforms=[resize, _base_.flip],
    ),
    _base_.pack,
]
detection_test = [
    load,
    _base_.load_proposals,
    _base_.load_boxes,
    dict(type='mmxdistill.FastProposalBroadcaster', transforms=[resize]),
    _base_.pack,
]

files = dict(
    data_root=data_root,
    modalities=dict(
        rgb='color/{stem}.jpg',
        hha='depth/{stem}.png',
        raw_depth='depth_raw/{stem}.png',
    ),
)
pairs = dict(
    train=dict(
        type='mmxdistill.PairedDataset',
        ann_file='pairs.txt',
        pipeline=[load, resize, _base_.flip, _base_.pack],
        **files,
    ),
    test=dict(
        type='mmxdistill.PairedDataset',
        ann_file='annotations_test.json',
        pipeline=[load, resize, _base_.pack],
        **files,
    ),
)
detection = dict(
    rgb_train=dict(
        type='mmxdistill.PairedCocoDataset',
        metainfo=dict(classes=classes),
        ann_file='annotations_rgb.json',
        proposal_file='proposals_rgb.pkl',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=detection_train,
        **files,
    ),
    train=dict(
        type='mmxdistill.PairedCocoDataset',
        metainfo=dict(classes=classes),
        ann_file='annotations_train.json',
        proposal_file='proposals_train.pkl',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=detection_train,
        **files,
    ),
    test=dict(
        type='mmxdistill.PairedCocoDataset',
        metainfo=dict(classes=classes),
        ann_file='annotations_test.json',
        proposal_file='proposals_test.pkl',
        test_mode=True,
        pipeline=detection_test,
        **files,
    ),
)
