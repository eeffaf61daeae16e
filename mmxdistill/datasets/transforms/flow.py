"""Loading, computing, encoding and flipping of optical flow."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform

from mmxdistill.datasets.transforms.image_file import (
    check_header,
    read_bytes,
)
from mmxdistill.datasets.transforms.memory import modality_image
from mmxdistill.encodings import (
    FLOW_CENTER,
    FLOW_METHODS,
    FLOW_SCALE,
    compute_flow,
    encode_flow,
)
from mmxdistill.encodings.flow_image import (
    check_constants,
    reverse_components,
)
from mmxdistill.encodings.flow_io import flow_from_bytes
from mmxdistill.registry import TRANSFORMS

__all__ = ['ComputeFlow', 'EncodeFlow', 'FlipFlow', 'LoadFlowFromFile']


@TRANSFORMS.register_module()
class LoadFlowFromFile(BaseTransform):
    """Load optical flow: a ``.flo`` file or a KITTI flow PNG.

    The two are told apart by content. An 8-bit flow image needs no loader of
    its own: ``LoadImageFromFile``.

    Required Keys:

    - img_path

    Added Keys:

    - img (np.float32, (H, W, 2)): motion in pixels, x to the right and y
      down; 0 where it is not known
    - flow_mask (bool, (H, W)): where the flow is known
    - img_shape, ori_shape

    Args:
        backend_args (dict, optional): Of mmengine's file backend.
    """

    def __init__(self, backend_args: dict | None = None) -> None:
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the flow.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the flow.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file is no flow, truncated, or knows no pixel.
        """
        path = results['img_path']
        content = read_bytes(path, self.backend_args)
        check_header(content, path)
        flow = flow_from_bytes(content, path)
        known = ~np.isnan(flow).any(axis=2)
        if not known.any():
            raise ValueError(
                f"flow '{path}' has no known pixel: remove the sample"
            )
        flow[~known] = 0
        results['img'] = flow
        results['flow_mask'] = known
        results['img_shape'] = results['ori_shape'] = flow.shape[:2]
        return results


@TRANSFORMS.register_module()
class ComputeFlow(BaseTransform):
    """Compute the optical flow to another frame.

    Required Keys:

    - img (np.uint8, (H, W, 3)): the first frame
    - modality_paths

    Modified Keys:

    - img (np.float32, (H, W, 2)): motion in pixels, x to the right and y
      down

    Args:
        second (str): Name of the entry of ``modality_paths`` with the later
            frame.
        method (str): See :func:`mmxdistill.encodings.compute_flow`. Defaults
            to 'dis'.
        symmetric (bool): See :func:`mmxdistill.encodings.compute_flow`.
            Defaults to True.
        backend_args (dict, optional): Of mmengine's file backend.

    Raises:
        ValueError: The method is not known.

    Examples:
        >>> load = dict(type='LoadImageFromFile')
        >>> modalities = dict(
        ...     rgb=dict(path='{0}', pipeline=[load]),
        ...     flow=dict(path='{0}', pipeline=[
        ...         load,
        ...         dict(type='mmxdistill.ComputeFlow', second='next_frame'),
        ...         dict(type='mmxdistill.EncodeFlow')]),
        ...     next_frame='{1}')
    """

    def __init__(
        self,
        second: str,
        method: str = 'dis',
        symmetric: bool = True,
        backend_args: dict | None = None,
    ) -> None:
        if method not in FLOW_METHODS:
            raise ValueError(
                f'ComputeFlow: method must be one of {list(FLOW_METHODS)}, '
                f"found '{method}'"
            )
        self.second = second
        self.method = method
        self.symmetric = symmetric
        self.backend_args = backend_args

    @property
    def reads(self) -> tuple[str, ...]:
        """What it takes from a sample beside the image."""
        return (f'modality_paths.{self.second}',)

    def transform(self, results: dict) -> dict:
        """Compute the flow.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the flow in place of the first frame.

        Raises:
            KeyError: The data set has no such entry of ``modality_paths``.
            FileNotFoundError: The later frame does not exist.
            ValueError: The frames do not fit each other.
        """
        paths = results.get('modality_paths', {})
        if self.second not in paths:
            raise KeyError(
                f"ComputeFlow(second='{self.second}'): the data set has no "
                f'such modality, only {sorted(paths)}'
            )
        path = paths[self.second]
        second = modality_image(results, self.second, self.backend_args)
        if second.ndim == 2:  # as the colour loader has made the first
            second = np.repeat(second[..., None], 3, axis=2)
        try:
            results['img'] = compute_flow(
                results['img'], second, self.method, symmetric=self.symmetric
            )
        except ValueError as error:
            raise ValueError(
                f"flow from '{results.get('img_path')}' to '{path}': {error}"
            ) from error
        return results


@TRANSFORMS.register_module()
class EncodeFlow(BaseTransform):
    """Encode flow as an image of x, y and magnitude.

    Required Keys:

    - img (float, (H, W, 2)): motion in pixels

    Modified Keys:

    - img (np.uint8, (H, W, 3))

    Args:
        scale (float): Levels per pixel of motion. Defaults to 16.
        center (int): Level of no motion. Defaults to 128.

    Raises:
        ValueError: The constants are out of range.
    """

    def __init__(
        self, scale: float = FLOW_SCALE, center: int = FLOW_CENTER
    ) -> None:
        check_constants(scale, center)
        self.scale = scale
        self.center = center

    def transform(self, results: dict) -> dict:
        """Encode the flow.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the flow image.

        Raises:
            ValueError: The image is no flow.
        """
        try:
            results['img'] = encode_flow(
                results['img'], scale=self.scale, center=self.center
            )
        except ValueError as error:
            raise ValueError(
                f"'{results.get('img_path')}': {error}"
            ) from error
        return results


@TRANSFORMS.register_module()
class FlipFlow(BaseTransform):
    """Turn the flow round where ``RandomFlip`` has moved the pixels.

    What moved to the right moves to the left in a mirrored scene. Put this
    right after ``RandomFlip`` (or a relative of it that sets the same keys),
    once, also inside :class:`FastProposalBroadcaster`.

    Required Keys:

    - img (H, W, channels): with the flow among the stacked modalities; any
      dtype
    - flip, flip_direction
    - modalities, modality_channels (of :class:`LoadModalities`); without
      them the whole image is flow

    Modified Keys:

    - img: x becomes ``2 * center - x`` in a horizontal or diagonal flip, y
      likewise in a vertical or diagonal one

    Args:
        modality (str): Name of the flow. A sample that could have it but
            leaves it out (``use`` of the data set) is passed on as it is.
            Defaults to 'flow'.
        center (int): Level of no motion of a flow image, 0 for flow in
            pixels. Defaults to 128.

    Raises:
        ValueError: ``center`` is no level.
    """

    def __init__(
        self, modality: str = 'flow', center: int = FLOW_CENTER
    ) -> None:
        if not 0 <= center <= 254:
            raise ValueError(
                'FlipFlow: center must be the level of no motion of the flow '
                f'image (128 by default), or 0 for raw flow; found {center}'
            )
        self.modality = modality
        self.center = center

    def transform(self, results: dict) -> dict:
        """Turn the flow round if the sample has been flipped.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample.

        Raises:
            KeyError: The sample has no such modality, or has not been
                through ``RandomFlip``.
            ValueError: The modality cannot be flow.
        """
        channels = self._channels(results)
        if 'flip' not in results:
            raise KeyError(
                "FlipFlow: the sample has no 'flip': put FlipFlow right "
                'after RandomFlip'
            )
        if channels is None or not results['flip']:
            return results
        # The flip may have left a view of an image that others hold.
        image = results['img'].copy()
        reverse_components(
            image[..., channels], results['flip_direction'], self.center
        )
        results['img'] = image
        return results

    def _channels(self, results: dict) -> slice | None:
        """Channels of the flow; None if the sample leaves it out."""
        image = results['img']
        total = image.shape[2] if image.ndim == 3 else 1
        modalities = results.get('modalities')
        if modalities is None:
            channels = slice(0, total)
        elif self.modality in modalities:
            widths = results['modality_channels']
            index = modalities.index(self.modality)
            start = sum(widths[:index])
            channels = slice(start, start + widths[index])
        elif self.modality in results.get('modality_paths', {}):
            return None
        else:
            raise KeyError(
                f"FlipFlow(modality='{self.modality}'): the sample has no "
                f'such modality, only {list(modalities)}'
            )
        width = channels.stop - channels.start
        raw = self.center == 0
        if width != (2 if raw else 3) or (raw and image.dtype.kind == 'u'):
            raise ValueError(
                f"FlipFlow: '{self.modality}' has {width} channels of "
                f'{image.dtype}; a flow image has 3 (center={FLOW_CENTER}), '
                'flow in pixels has 2 of a signed type (center=0)'
            )
        return channels

    def __repr__(self) -> str:
        """Name, modality and centre."""
        return (
            f"{type(self).__name__}(modality='{self.modality}', "
            f'center={self.center})'
        )
