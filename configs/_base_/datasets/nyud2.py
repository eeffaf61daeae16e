# NYU Depth v2 with the 19 classes of Gupta et al., as docs/nyud2.md makes it.
# Training on train is tested on val, training on trainval on test.
_base_ = './nyud2_classes.py'

data_root = '{{$MMXDISTILL_DATA:data}}/nyud2/'
images = dict(
    rgb=dict(path='images/{stem}.png', pipeline=_base_.load_color),
    hha=dict(path='hha/{stem}.png', pipeline=_base_.load_color),
)
video_frames = dict(
    rgb=dict(path='pairs/images/{stem}.png', pipeline=_base_.load_color),
    hha=dict(path='pairs/hha/{stem}.png', pipeline=_base_.load_color),
)
resize = dict(type='mmxdistill.CaffeResize', scale=688, max_size=2000)
flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
load_proposals = dict(type='LoadProposals')  # all 2000 or so

pairs = dict(
    train=dict(
        type='mmxdistill.PairedDataset',
        data_root=data_root,
        ann_file='pairs/train.txt',
        modalities=video_frames,
        pipeline=[flip, resize, _base_.pack],
    ),
    trainval=dict(
        type='mmxdistill.PairedDataset',
        data_root=data_root,
        ann_file='pairs/trainval.txt',
        modalities=video_frames,
        pipeline=[flip, resize, _base_.pack],
    ),
    val=dict(
        type='mmxdistill.PairedDataset',
        data_root=data_root,
        ann_file='annotations_val.json',
        modalities=images,
        pipeline=[resize, _base_.pack],
    ),
    test=dict(
        type='mmxdistill.PairedDataset',
        data_root=data_root,
        ann_file='annotations_test.json',
        modalities=images,
        pipeline=[resize, _base_.pack],
    ),
)
boxes = dict(
    type='mmxdistill.PairedCocoDataset',
    data_root=data_root,
    metainfo=dict(classes=_base_.classes),
    modalities=images,
    proposal_file='proposals.pkl',
)
move = dict(type='mmxdistill.FastProposalBroadcaster', transforms=[resize])
mirror = dict(
    type='mmxdistill.FastProposalBroadcaster',
    transforms=[dict(type='mmxdistill.CaffeRandomFlip', prob=1.0), resize],
)
load = [load_proposals, _base_.load_boxes]
originals = dict(**boxes, pipeline=[*load, move, _base_.pack])
mirrored = dict(**boxes, pipeline=[*load, mirror, _base_.pack])
boxes_test = dict(
    **boxes,
    test_mode=True,
    # Boxes last: detections are evaluated in the original image.
    pipeline=[load_proposals, move, _base_.load_boxes, _base_.pack],
)
# Training sets are two, for a ConcatDataset: as in Caffe, an epoch has every
# image and its mirror image.
detection = dict(
    train=[
        dict(ann_file='annotations_train.json', **part)
        for part in (originals, mirrored)
    ],
    trainval=[
        dict(ann_file='annotations_trainval.json', **part)
        for part in (originals, mirrored)
    ],
    val=dict(ann_file='annotations_val.json', **boxes_test),
    test=dict(ann_file='annotations_test.json', **boxes_test),
)
epochs = dict(type='mmxdistill.CaffeEpochSampler', batch_size=2)
