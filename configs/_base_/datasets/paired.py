# What paired data sets share; each of them adds files, classes and statistics.
# B, G, R means of Caffe's ImageNet classifiers; their std is 1.
caffe_imagenet = dict(mean=[104.0, 117.0, 123.0])

# As in Caffe, flipping comes before resizing.
flip = dict(type='RandomFlip', prob=0.5)
resize = dict(type='mmxdistill.CaffeResize', scale=300, max_size=400)
pack = dict(
    type='PackDetInputs',
    meta_keys=(
        'img_id',
        'img_path',
        'modality_paths',
        'modalities',
        'ori_shape',
        'img_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        # For EncodeHHA(on_device=True).
        'homography_matrix',
        'encoder_inputs',
    ),
)
load_color = [dict(type='LoadImageFromFile')]
load_proposals = dict(type='LoadProposals', num_max_proposals=2000)
load_boxes = dict(type='LoadAnnotations', with_bbox=True)

pairs = dict(
    train=dict(
        type='mmxdistill.PairedDataset',
        ann_file='annotations_train.json',
        pipeline=[flip, resize, pack],
    ),
    test=dict(
        type='mmxdistill.PairedDataset',
        ann_file='annotations_test.json',
        pipeline=[resize, pack],
    ),
)
detection = dict(
    train=dict(
        type='mmxdistill.PairedCocoDataset',
        ann_file='annotations_train.json',
        proposal_file='proposals_train.pkl',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            load_proposals,
            load_boxes,
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[flip, resize],
            ),
            pack,
        ],
    ),
    test=dict(
        type='mmxdistill.PairedCocoDataset',
        ann_file='annotations_test.json',
        proposal_file='proposals_test.pkl',
        test_mode=True,
        # Boxes last: detections are evaluated in the original image.
        pipeline=[
            load_proposals,
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=[resize]
            ),
            load_boxes,
            pack,
        ],
    ),
)
