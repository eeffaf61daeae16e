"""Published data sets, which are known by their classes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from mmxdistill.classes import JHMDB_CLASSES, NYUD2_CLASSES, UCF101_CLASSES
from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.registry import DATASETS

__all__ = ['JHMDBDataset', 'NYUD2Dataset', 'UCF101Dataset']


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


@DATASETS.register_module()
class UCF101Dataset(PairedDataset):
    """Frames of UCF101, and the actions of the videos that they are of.

    The action is that of one box, the whole image, which is the only
    proposal, too: Fast R-CNN then classifies the image, and fc6 sees 6 x 6
    cells of it as in AlexNet (the supervised pre-training of the paper's
    table 7).

    Args: see :class:`PairedDataset`; images lie in
    ``<action>/<video>/<frame>``.

    Raises:
        ValueError: A folder has not the name of an action.
    """

    METAINFO: ClassVar = dict(classes=UCF101_CLASSES)

    def load_data_list(self) -> list[dict]:
        """List the frames.

        Returns:
            list[dict]: As :class:`PairedDataset`, with ``action``, the number
            of the class.
        """
        classes = list(self.metainfo['classes'])
        samples = super().load_data_list()
        for sample in samples:
            name = Path(sample['img_path']).parts[-3]
            if name not in classes:
                raise ValueError(
                    f"'{sample['img_path']}': '{name}' is no action of "
                    'UCF101; images lie in <action>/<video>/<frame>'
                )
            sample['action'] = classes.index(name)
        return samples

    def get_data_info(self, idx: int) -> dict:
        """Get a frame before the pipeline.

        Args:
            idx (int): Index of the frame.

        Returns:
            dict: Sample with ``instances`` and ``proposals``, one of each:
            the whole image, in pixels.
        """
        info = super().get_data_info(idx)
        box = [0, 0, info['width'], info['height']]
        info['instances'] = [
            dict(bbox=box, bbox_label=info['action'], ignore_flag=0)
        ]
        info['proposals'] = dict(
            bboxes=np.array([box], np.float32), scores=np.ones(1, np.float32)
        )
        return info
