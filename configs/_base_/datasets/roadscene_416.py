# Road scenes at the size and with the padding of YOLOX-nano, which takes
# levels as they are. Validation is on the training split: it fits the weights
# of the fusion, and no training runs it.
_base_ = ['./roadscene_rgbt.py', './paired.py']

as_it_is = dict(mean=[0.0, 0.0, 0.0])
data_preprocessor = dict(
    modalities=dict(rgb=as_it_is, thermal=as_it_is),
    pad_size_divisor=32,
    pad_value=114,
)
moving = [
    _base_.flip,
    dict(
        type='RandomResize',
        scale=(416, 416),
        ratio_range=(0.8, 1.2),
        keep_ratio=True,
    ),
    _base_.pack,
]
resize = dict(_delete_=True, type='Resize', scale=(416, 416), keep_ratio=True)
single = dict(num_workers=0, persistent_workers=False)
