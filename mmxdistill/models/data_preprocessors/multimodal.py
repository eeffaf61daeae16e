"""Normalisation and batching of channel-stacked modalities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from torch import Tensor, nn

from mmxdistill.datasets.transforms.left_to_device import check_nothing_left
from mmxdistill.encodings.batch import HHAEncoder
from mmxdistill.models.data_preprocessors.device_encoding import (
    encode_modality,
    find_moves,
)
from mmxdistill.models.data_preprocessors.device_resize import (
    find_resizes,
    flip_images,
    resize_images,
    widen,
)
from mmxdistill.registry import MODELS

__all__ = ['MultiModalDataPreprocessor']

# The encodings do not know mmengine.
MODELS.register_module(module=HHAEncoder)


@MODELS.register_module()
class MultiModalDataPreprocessor(DetDataPreprocessor):
    """Normalise each modality by its own mean and std, then pad and stack.

    Samples are channel-stacked images (sum of channels, H, W) in the order of
    ``modalities``; a batch is (N, sum of channels, H, W), zero-padded at the
    right and bottom after normalisation, which is padding with the mean colour
    as Caffe's Fast R-CNN does. Proposals learn the ``scale_factor`` of their
    sample (for :class:`CaffeMaxIoUAssigner`).

    Images that :class:`CaffeResize` has left to the device are flipped and
    resized here, with the loader's result up to float32 rounding (less than
    1e-3 grey levels).

    Args:
        modalities (dict[str, dict]): Name -> ``dict(mean=[...], std=[...],
            bgr_to_rgb=False)`` in the order of the channels. ``mean`` has one
            value per channel *of the network input* (after ``bgr_to_rgb``)
            and so tells the number of channels; ``std`` defaults to ones.
        pad_size_divisor (int): H and W are padded to a multiple. 32 lets the
            pool5 grids of VGG16 and both AlexNet geometries meet. Defaults
            to 1.
        encoders (dict[str, dict], optional): Modality -> config of an encoder
            (:class:`HHAEncoder`) that makes its image on the device, from
            what ``EncodeHHA(on_device=True)`` left in the sample. The image
            is then moved as ``homography_matrix`` tells, and equals that of
            the loader up to the rounding of the resampling. Transforms that
            resize, flip and crop can be followed; others raise an error.
            ``PackDetInputs`` must have the ``meta_keys``
            ``'encoder_inputs'`` and ``'homography_matrix'``.
        **kwargs: Of :class:`mmdet.models.DetDataPreprocessor` (``pad_mask``,
            ``batch_augments``, ...).

    Attributes:
        slices (dict[str, slice]): Channels of each modality.
        takes_missing (bool): Whether the model does without a modality that
            a sample lacks, and for which zeros stand in.

    Raises:
        ValueError: Means and stds do not fit each other, or ``encoders``
            names a modality that there is not.
    """

    def __init__(
        self,
        modalities: dict[str, dict],
        pad_size_divisor: int = 1,
        encoders: dict[str, dict] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pad_size_divisor=pad_size_divisor, **kwargs)
        self.takes_missing = False
        self.slices: dict[str, slice] = {}
        means: list[float] = []
        stds: list[float] = []
        order: list[int] = []
        for name, spec in modalities.items():
            mean, std = self._statistics(name, spec)
            start, stop = len(means), len(means) + len(mean)
            channels = range(start, stop)
            order += reversed(channels) if spec.get('bgr_to_rgb') else channels
            means += mean
            stds += std
            self.slices[name] = slice(start, stop)
        self.order = order if order != sorted(order) else None
        unknown = set(encoders or ()) - set(modalities)
        if unknown:
            raise ValueError(
                f'encoders names {sorted(unknown)}, but the modalities are '
                f'{list(modalities)}'
            )
        self.encoders = nn.ModuleDict(
            {name: MODELS.build(cfg) for name, cfg in (encoders or {}).items()}
        )
        # ImgDataPreprocessor normalises with whatever these buffers hold, but
        # its constructor takes 1 or 3 values only.
        self._enable_normalize = True
        shape = (-1, 1, 1)
        self.register_buffer('mean', torch.tensor(means).view(shape), False)
        self.register_buffer('std', torch.tensor(stds).view(shape), False)

    @staticmethod
    def _statistics(name: str, spec: dict) -> tuple[list[float], list[float]]:
        unknown = set(spec) - {'mean', 'std', 'bgr_to_rgb'}
        if unknown or 'mean' not in spec:
            raise ValueError(
                f"modality '{name}' must be dict(mean=[...], std=[...], "
                f'bgr_to_rgb=False), found keys {sorted(spec)}'
            )
        mean: Sequence[float] = spec['mean']
        std: Sequence[float] = spec.get('std', [1.0] * len(mean))
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(
                f"modality '{name}': mean {mean} and std {std} must have one "
                'value per channel, and std must be positive'
            )
        return [float(m) for m in mean], [float(s) for s in std]

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise and batch.

        Args:
            data (dict): ``inputs``: list of (C, H, W) or (N, C, H, W) images;
                ``data_samples``.
            training (bool): Whether batch augmentations are applied.

        Returns:
            dict: ``inputs`` (N, C, H', W') and ``data_samples``.

        Raises:
            ValueError: The images have other channels than ``modalities``,
                or a sample lacks a modality that the model needs.
        """
        self._check(data['inputs'], data.get('data_samples'))
        data = self._finish(data)
        images = data['inputs']
        if self.order is not None:
            data = dict(data)
            if isinstance(images, Tensor):
                data['inputs'] = images[:, self.order]
            else:
                data['inputs'] = [image[self.order] for image in images]
        data = super().forward(data, training)
        for sample in data['data_samples'] or ():
            # mmdet hands the proposals to the assigner, but not the sample.
            if 'proposals' in sample and 'scale_factor' in sample:
                scale = dict(scale_factor=sample.scale_factor)
                sample.proposals.set_metainfo(scale)
        return data

    def _finish(self, data: dict) -> dict:
        """Do on the device what the loader left to it, if anything."""
        images, samples = data['inputs'], data.get('data_samples') or ()
        resizes = find_resizes(images, samples)
        if not self.encoders and not any(resizes):
            check_nothing_left(images, samples)
            return data
        images = [widen(image) for image in images]
        data = {**data, 'inputs': images}
        moves = {
            name: find_moves(
                name,
                [image[self.slices[name]] for image in images],
                samples,
                resizes,
            )
            for name in self.encoders
        }
        data = self.cast_data(data)
        images, samples = data['inputs'], data['data_samples']
        images = flip_images(images, resizes)
        for name, encoder in self.encoders.items():
            images = encode_modality(
                encoder,
                self.slices[name],
                images,
                [
                    sample.get('encoder_inputs', {}).get(name)
                    for sample in samples
                ],
                moves[name],
            )
        data['inputs'] = resize_images(images, resizes)
        for sample in samples:  # copies; predictions shall not carry depth
            for key in ('encoder_inputs', 'device_resize'):
                sample.pop(key, None)
        return data

    def _check(self, images: Any, samples: Any) -> None:
        found = {int(image.shape[0]) for image in images}
        wanted = self.mean.shape[0]
        if found != {wanted}:
            raise ValueError(
                f'the images have {sorted(found)} channels, but '
                f'data_preprocessor.modalities {list(self.slices)} describes '
                f'{wanted}: it must list the modalities of LoadModalities'
            )
        if self.encoders and not samples:
            raise ValueError(
                'encoders of the data_preprocessor need data_samples with '
                'what to encode'
            )
        for sample in samples or ():
            missing = set(sample.get('missing_modalities', ()))
            if missing and not self.takes_missing:
                raise ValueError(
                    f"'{sample.get('img_path')}' lacks {sorted(missing)}: "
                    'only a LateFusionDetector does without a modality'
                )
            names = sample.get('modalities')
            waiting = set(sample.get('encoder_inputs', ()))
            if waiting != set(self.encoders) - missing:
                raise ValueError(
                    f'the pipeline leaves {sorted(waiting)} to the encoders '
                    'of the data_preprocessor, which has them for '
                    f'{sorted(self.encoders)}. Both must have the same: '
                    'EncodeHHA(on_device=True) in the pipeline of the '
                    "modality, 'encoder_inputs' and 'homography_matrix' in "
                    'the meta_keys of PackDetInputs, and encoders=dict('
                    "hha=dict(type='mmxdistill.HHAEncoder')) here"
                )
            if names is not None and tuple(names) != tuple(self.slices):
                raise ValueError(
                    f'the pipeline stacks the modalities {tuple(names)}, but '
                    f'the data_preprocessor expects {tuple(self.slices)}: '
                    'both must have the same names and order'
                )
