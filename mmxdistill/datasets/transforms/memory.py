"""Images that are in memory, where a loader would read a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import mmcv.transforms
import numpy as np

from mmxdistill.datasets.transforms.image_file import read_image

__all__ = ['modality_image', 'stock_image', 'stored_image']


def stored_image(
    results: Mapping[str, Any], backend_args: dict | None = None
) -> np.ndarray:
    """Image of a sample as it is stored: ``img``, else the file ``img_path``.

    Args:
        results (Mapping): Sample; ``img`` is there if it was given in memory,
            or ``LoadImageFromFile(color_type='unchanged')`` stands before.
        backend_args (dict, optional): Of mmengine's file backend.

    Returns:
        np.ndarray: (H, W), or (H, W, 3) BGR.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: There is no image.
    """
    if results.get('img') is None:
        return read_image(results['img_path'], backend_args)
    return _plain(results['img'], str(results.get('img_path')))


def modality_image(
    results: Mapping[str, Any], name: str, backend_args: dict | None = None
) -> np.ndarray:
    """Another modality of a sample as it is stored.

    Args:
        results (Mapping): Sample with ``modality_paths`` and, if images were
            given in memory, ``modality_images``.
        name (str): The modality.
        backend_args (dict, optional): Of mmengine's file backend.

    Returns:
        np.ndarray: (H, W), or (H, W, 3) BGR.
    """
    image = results.get('modality_images', {}).get(name)
    path = results['modality_paths'][name]
    if image is None:
        return read_image(path, backend_args)
    return _plain(image, path)


def stock_image(
    loader: mmcv.transforms.LoadImageFromFile, image: np.ndarray, path: str
) -> np.ndarray:
    """What ``LoadImageFromFile`` makes of a file that holds this image.

    Args:
        loader (LoadImageFromFile): The transform of mmcv or mmdet.
        image (np.ndarray): (H, W), (H, W, 1) or (H, W, 3) BGR.
        path (str): How messages name it.

    Returns:
        np.ndarray: The image with the channels of the loader.

    Raises:
        ValueError: It is no such image, or has more than 8 bits.
    """
    image = _plain(image, path)
    kind = loader.color_type
    if kind != 'unchanged':
        if image.dtype != np.uint8:
            name = type(loader).__name__
            raise ValueError(
                f"'{path}' holds {image.dtype} values, but {name}("
                f"color_type='{kind}') of the config loads 8 bits: give "
                'uint8, or load the modality by '
                'mmxdistill.LoadGrayImageFromFile(value_range=(low, high))'
            )
        grey = kind.startswith('grayscale')
        if grey and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        elif not grey and image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
    return image.astype(np.float32 if loader.to_float32 else image.dtype)


def _plain(image: Any, path: str) -> np.ndarray:
    """Check an image; one channel is (H, W), and opacity is left out."""
    if (
        not isinstance(image, np.ndarray)
        or image.ndim not in (2, 3)
        or (image.ndim == 3 and image.shape[2] not in (1, 3, 4))
        or image.dtype.kind not in 'uif'
        or image.size == 0
    ):
        found = (
            f'{image.dtype} of shape {image.shape}'
            if isinstance(image, np.ndarray)
            else type(image).__name__
        )
        raise ValueError(
            f"'{path}' is no image: give a NumPy array (H, W), (H, W, 1) or "
            f'(H, W, 3) in the order BGR, found {found}'
        )
    if image.ndim == 3:
        return image[..., 0] if image.shape[2] == 1 else image[..., :3]
    return image
