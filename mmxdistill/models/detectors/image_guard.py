"""Whether an image is the one that it is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import SampleList
from torch import Tensor

__all__ = ['ImageGuard']

_POINTS = 8  # on each side
# Relative: devices resize with other rounding, but by no more than this.
_TOLERANCE = 0.03


class ImageGuard:
    """Compares images with what was noted of them.

    Args:
        channels (Sequence[slice]): Those of a batch that matter.
    """

    def __init__(self, channels: Sequence[slice]) -> None:
        self.channels = list(channels)
        self._unread: list[tuple[Any, Tensor, list[str]]] = []

    def note(self, inputs: Tensor, samples: SampleList) -> Tensor:
        """Take some pixels of each image.

        Args:
            inputs (Tensor): (N, sum of channels, H, W).
            samples (list[DetDataSample]): With ``img_shape``.

        Returns:
            Tensor: (N, points), float32.
        """
        height, width = inputs.shape[-2:]
        places = (torch.arange(_POINTS) + 0.5) / _POINTS
        points = []
        for sample in samples:
            h, w = sample.img_shape[:2]
            y = (places * min(int(h), height)).long()
            x = (places * min(int(w), width)).long()
            points.append((y[:, None] * width + x).flatten())
        index = torch.stack(points)[:, None].to(inputs.device)
        notes = [
            part.flatten(2).gather(2, index.expand(-1, part.shape[1], -1))
            for part in (inputs[:, channels] for channels in self.channels)
        ]
        return torch.cat(notes, 1).flatten(1).float()

    def compare(
        self, notes: Tensor, before: Tensor, names: Sequence[str]
    ) -> None:
        """Make sure that images are those from before.

        On a GPU the answer is read by the next :meth:`read`, so that nothing
        waits for it.

        Args:
            notes (Tensor): (N, points).
            before (Tensor): (N, points), on any device.
            names (Sequence[str]): Of the N images.

        Raises:
            ValueError: One is another image.
        """
        before = before.to(notes.device, non_blocking=True)
        size = torch.maximum(notes.norm(dim=1), before.norm(dim=1))
        wrong = (notes - before).norm(dim=1) > _TOLERANCE * size
        event = None
        if wrong.is_cuda:
            copy = torch.empty(len(wrong), dtype=torch.bool, pin_memory=True)
            wrong = copy.copy_(wrong, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._unread.append((event, wrong, list(names)))
        if event is None:
            self.read()

    def read(self) -> None:
        """Hear of the images that were compared.

        Raises:
            ValueError: One is another image.
        """
        unread, self._unread = self._unread, []
        for event, wrong, names in unread:
            if event is not None:
                event.synchronize()
            for name, is_wrong in zip(names, wrong.tolist(), strict=True):
                if is_wrong:
                    raise ValueError(
                        f"teacher_cache: '{name}' gives another image than "
                        'the one whose features are stored, although file, '
                        'flip and size are the same: a transform changes it '
                        'at random, or reads another file that was changed. '
                        'Train without teacher_cache, or leave that '
                        'transform out'
                    )
