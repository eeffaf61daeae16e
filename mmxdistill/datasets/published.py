"""Published data sets, which are known by their classes."""

from __future__ import annotations

from typing import ClassVar

from mmxdistill.classes import JHMDB_CLASSES, NYUD2_CLASSES
from mmxdistill.datasets.paired import PairedCocoDataset
from mmxdistill.registry import DATASETS

__all__ = ['JHMDBDataset', 'NYUD2Dataset']


@DATASETS.register_module()
class NYUD2Dataset(PairedCocoDataset):
    """NYU Depth v2, or SUN RGB-D, with the 19 classes of Gupta et al.

    Args: see :class:`PairedCocoDataset`.
    """

    METAINFO: ClassVar = dict(classes=NYUD2_CLASSES)


@DATASETS.register_module()
class JHMDBDataset(PairedCocoDataset):
    """The 21 actions of JHMDB.

    Args: see :class:`PairedCocoDataset`.
    """

    METAINFO: ClassVar = dict(classes=JHMDB_CLASSES)
