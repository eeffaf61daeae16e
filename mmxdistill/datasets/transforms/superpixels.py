"""Loading of superpixels."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from mmxdistill.datasets.transforms.image_file import read_image
from mmxdistill.registry import TRANSFORMS

__all__ = ['LoadSuperpixels']


@TRANSFORMS.register_module()
class LoadSuperpixels(BaseTransform):
    """Load the superpixels of an image, for regions made of them.

    16-bit PNG, numbered from 1, as the authors' ``nyud2_sp/img_NNNN.png``.
    They stay in the original image: put ``'superpixels'`` among the
    ``meta_keys`` of ``PackDetInputs`` for :class:`HypercolumnRoIHead`.

    Required Keys:

    - modality_paths
    - ori_shape

    Added Keys:

    - superpixels (int32, (H, W))

    Args:
        entry (str): Name of the data set's entry with the path. Defaults to
            ``'superpixels'``.
    """

    def __init__(self, entry: str = 'superpixels') -> None:
        self.entry = entry

    def transform(self, results: dict) -> dict:
        """Load the file.

        Args:
            results (dict): The sample.

        Returns:
            dict: With ``superpixels``.

        Raises:
            FileNotFoundError: There is no such file.
            KeyError: The data set has no such entry.
            ValueError: The file is no image of the sample's size with numbers
                from 1.
        """
        if self.entry not in results['modality_paths']:
            raise KeyError(
                f"LoadSuperpixels(entry='{self.entry}'): the data set has "
                f'only {list(results["modality_paths"])}; add '
                f"{self.entry}='superpixels/{{stem}}.png' to its modalities"
            )
        path = results['modality_paths'][self.entry]
        numbers = read_image(path)
        size = tuple(results['ori_shape'][:2])
        if numbers.shape != size or numbers.min() < 1:
            raise ValueError(
                f"superpixels '{path}': expected an image of {size} with "
                f'numbers from 1, found {numbers.shape}'
            )
        results['superpixels'] = numbers.astype(np.int32)
        return results

    def __repr__(self) -> str:
        """Name and settings."""
        return f"{type(self).__name__}(entry='{self.entry}')"
