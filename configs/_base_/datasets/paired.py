# What all loaders of paired images share.

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
        # For EncodeHHA and CaffeResize with on_device=True.
        'homography_matrix',
        'encoder_inputs',
        'device_resize',
    ),
)
# Data sets add the modalities, models take it from here.
data_preprocessor = dict(type='mmxdistill.MultiModalDataPreprocessor')

train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mmxdistill.ResumableInfiniteSampler'),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
)
test_dataloader = val_dataloader
