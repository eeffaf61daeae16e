"""Which of mmdet's and mmcv's transforms do what to an image."""

from __future__ import annotations

from collections.abc import Sequence

import mmcv.transforms
import mmdet.datasets.transforms

__all__ = [
    'ANY_CHANNELS',
    'IN_THREES',
    'PHOTOMETRIC',
    'TURNING',
    'UNRECORDED',
    'classes_of',
    'is_a',
]

_MIXING = ('Mosaic', 'MixUp', 'CachedMosaic', 'CachedMixUp')
# Names with the classes that inherit from them. Geometric transforms that
# take any number of channels (Resize: since _resizing):
ANY_CHANNELS = (
    'Resize',
    'ResizeShortestEdge',
    'RandomFlip',
    'RandomShift',
    'RandomCrop',
    'MinIoURandomCrop',
    'CenterCrop',
    'CopyPaste',
)
# ... and those that get three at a time.
IN_THREES = (
    'GeomTransform',  # Rotate, ShearX, ShearY, TranslateX, TranslateY
    'FixShapeResize',
    'Pad',
    'Expand',
    'CutOut',
    'RandomErasing',
    'RandomAffine',
    'RandomCenterCropPad',
    *_MIXING,
)
# They move the image and do not tell how (no ``homography_matrix``).
UNRECORDED = (
    'RandomShift',
    'MinIoURandomCrop',
    'CenterCrop',
    'Expand',
    'RandomAffine',
    'RandomCenterCropPad',
    *_MIXING,
)
# They turn or shear the image. Directions in it stay what they were.
TURNING = ('Rotate', 'ShearX', 'ShearY', 'RandomAffine')
PHOTOMETRIC = (
    'ColorTransform',  # Color, Brightness, Contrast, Sharpness, Solarize, ...
    'PhotoMetricDistortion',
    'YOLOXHSVRandomAug',
    'RandomGrayscale',
    'Normalize',
    'Corrupt',
    'Albu',
    'InstaBoost',
)


def classes_of(names: Sequence[str]) -> tuple[type, ...]:
    """Classes of mmdet and mmcv of these names; versions lack some."""
    modules = (
        mmdet.datasets.transforms,
        mmdet.datasets.transforms.transforms,  # not all are exported
        mmdet.datasets.transforms.geometric,
        mmdet.datasets.transforms.colorspace,
        mmcv.transforms,
    )
    found = [
        getattr(module, name)
        for name in names
        for module in modules
        if hasattr(module, name)
    ]
    return tuple(dict.fromkeys(found))


def is_a(transform: object, names: Sequence[str]) -> bool:
    """Whether a transform is of one of the named classes."""
    return isinstance(transform, classes_of(names))
