"""One small image through a network: what its features are."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmxdistill.models.features.entries import ENTRIES, entries_for
from mmxdistill.models.features.layouts import Observation
from mmxdistill.models.features.names import FeatureName
from mmxdistill.models.features.recording import Recorded, record

__all__ = [
    'DryRun',
    'Pass',
    'companion_grid',
    'generators_kept',
    'sizes_to_try',
    'untouched',
]

# Two unequal sizes tell the grid from the channels. Some networks want large
# images (SSD), some a single size (ViTs with fixed position embeddings).
_SIZES = (
    ((64, 96), (160, 224)),
    ((320, 352), (384, 448)),
    ((224, 224),),
    ((518, 518),),
)


class Pass(NamedTuple):
    """What one pass through the network gave.

    Attributes:
        entry (str): The part of the network that ran.
        size (tuple[int, int]): Height and width of the images.
        images (int): Their number.
        rois (int): Number of RoIs.
        found (dict[str, Recorded]): Feature per name.
        calls (Counter): How often each path was called.
        error (Exception | None): What ended the pass before its end.
    """

    entry: str
    size: tuple[int, int]
    images: int
    rois: int
    found: dict[str, Recorded]
    calls: Counter
    error: Exception | None

    def observe(self, name: str) -> Observation:
        """Shape of a feature in this pass."""
        recorded = self.found[name]
        return Observation(
            tuple(recorded.value.shape),
            self.images,
            self.rois,
            self.size,
            companion_grid(recorded),
        )


def companion_grid(recorded: Recorded) -> tuple[int, int] | None:
    """Find the grid (h, w) of tokens that travels beside them.

    Args:
        recorded (Recorded): Swin gives (tokens, (h, w)), PVT takes them.

    Returns:
        tuple[int, int] | None: h and w, if there are such.
    """
    length = set(recorded.value.shape)
    nearby = [*recorded.args]
    if isinstance(recorded.output, (tuple, list)):
        # The element behind the feature first: Swin's stages give two pairs.
        output = list(recorded.output)
        behind = [
            i + 1 for i, item in enumerate(output) if item is recorded.value
        ]
        nearby = [output[i] for i in behind if i < len(output)]
        nearby += [*output, *recorded.args]
    for item in nearby:
        if (
            isinstance(item, (tuple, list, torch.Size))
            and len(item) == 2
            and all(isinstance(n, int) for n in item)
            and math.prod(item) in length
        ):
            return item[0], item[1]
    return None


def sizes_to_try(
    network: Any, divisor: int
) -> Iterator[tuple[tuple[int, int], ...]]:
    """List sizes of images, one or two at a time, small ones first.

    Args:
        network (nn.Module): Backbone or detector.
        divisor (int): Height and width are multiples of it.

    Yields:
        tuple[tuple[int, int], ...]: Height and width.
    """
    sizes = list(_SIZES)
    own = getattr(getattr(network, 'backbone', network), 'img_size', None)
    if isinstance(own, int):
        own = (own, own)
    if isinstance(own, (tuple, list)) and len(own) == 2:
        sizes.insert(2, ((int(own[0]), int(own[1])),))
    for group in sizes:
        yield tuple(
            (-(-h // divisor) * divisor, -(-w // divisor) * divisor)
            for h, w in group
        )


@contextmanager
def generators_kept() -> Iterator[None]:
    """Draw random numbers inside without a trace outside."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    # Others have nothing to keep: nobody has used them yet.
    cuda = torch.cuda.is_initialized()
    devices = [torch.cuda.current_device()] if cuda else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


@contextmanager
def untouched(network: nn.Module) -> Iterator[None]:
    """Leave no trace in a network, nor in the random numbers.

    Args:
        network (nn.Module): In evaluation mode inside.
    """
    modes = [(module, module.training) for module in network.modules()]
    buffers = [
        (buffer, buffer.detach().clone()) for buffer in network.buffers()
    ]
    network.eval()
    try:
        with generators_kept():
            yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


class DryRun:
    """Runs a network on made-up images.

    Args:
        network (nn.Module): Backbone or detector.
        channels (int): Of its input.
    """

    def __init__(self, network: nn.Module, channels: int) -> None:
        self.network = network
        self.channels = channels

    @property
    def _like(self) -> Tensor:
        """A tensor where the network is now: it may have been moved."""
        parameter = next(self.network.parameters(), torch.zeros(()))
        return parameter.detach()

    def find(
        self,
        names: Sequence[FeatureName],
        sizes: Iterable[tuple[int, int]],
    ) -> list[Pass]:
        """Run the shortest part that computes all features.

        Args:
            names (Sequence[FeatureName]): The features; their paths exist.
            sizes (Iterable[tuple[int, int]]): One pass each, of one image,
                two images, ...

        Returns:
            list[Pass]: One per size. If no part computes all features, what
            the longest part gave.
        """
        passes: list[Pass] = []
        for entry in entries_for(self.network, [n.path for n in names]):
            # The first runs to its end, which tells how often modules run.
            passes = [
                self.run(entry, names, size, images, stop=images > 1)
                for images, size in enumerate(sizes, 1)
            ]
            if all(len(p.found) == len(names) for p in passes):
                break
        return passes

    def run(
        self,
        entry: str,
        names: Sequence[FeatureName],
        size: tuple[int, int],
        images: int = 1,
        stop: bool = False,
        copies: Collection[str] = (),
        labelled: bool = True,
        noise: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> Pass:
        """Make one pass.

        Args:
            entry (str): The part of the network to run.
            names (Sequence[FeatureName]): The features.
            size (tuple[int, int]): Height and width of the images.
            images (int): Their number. Defaults to 1.
            stop (bool): Whether to stop at the last feature.
            copies (Collection[str]): See :func:`record`.
            labelled (bool): Whether the images have (no) objects, instead of
                no labels. Defaults to True.
            noise (tuple, optional): Mean and std of each channel: images of
                values from 0 to 255, normalised by them, instead of values
                from 0 to 1.

        Returns:
            Pass: Whatever came out.
        """
        # Not constant: some networks take the variance of what they see.
        x = torch.rand(images, self.channels, *size)
        if noise is not None:
            mean, std = (torch.tensor(row).view(-1, 1, 1) for row in noise)
            x = (255 * x - mean) / std
        x = x.to(self._like)
        samples = [self._sample(size, i, labelled) for i in range(images)]
        boxes = [self._boxes(size, 3 - i).to(x) for i in range(images)]
        rois = bbox2roi(boxes)
        error: Exception | None = None
        try:
            found, calls = record(
                self.network,
                names,
                lambda: ENTRIES[entry](self.network, x, rois, samples),
                copies,
                stop,
            )
        except Exception as caught:  # told if it matters
            error = caught
            found, calls = getattr(caught, 'found', ({}, Counter()))
        return Pass(entry, size, images, len(rois), found, calls, error)

    @staticmethod
    def _boxes(size: tuple[int, int], count: int) -> Tensor:
        h, w = size
        return torch.tensor([[0.0, 0.0, w, h]]).repeat(count, 1)

    def _sample(
        self, size: tuple[int, int], number: int, labelled: bool = True
    ) -> DetDataSample:
        sample = DetDataSample(
            metainfo=dict(
                img_id=number,
                img_path='dry run',
                img_shape=size,
                ori_shape=size,
                pad_shape=size,
                batch_input_shape=size,
                scale_factor=(1.0, 1.0),
                flip=False,
            )
        )
        boxes = self._boxes(size, 3 - number).to(self._like)
        sample.proposals = InstanceData(bboxes=boxes)
        sample.gt_instances = InstanceData()
        if labelled:
            sample.gt_instances.bboxes = boxes[:0]
            sample.gt_instances.labels = torch.zeros(0, dtype=torch.long)
        return sample
