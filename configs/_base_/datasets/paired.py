# Transforms that all paired data sets share.
flip = dict(type='RandomFlip', prob=0.5)
load_proposals = dict(type='LoadProposals', num_max_proposals=2000)
load_boxes = dict(type='LoadAnnotations', with_bbox=True)
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
    ),
)
caffe_mean = [102.9801, 115.9465, 122.7717]  # B, G, R
