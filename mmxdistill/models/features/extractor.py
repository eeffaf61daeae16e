"""Features of a network by name, computed by no more than has to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.structures import SampleList
from torch import Tensor, nn

from mmxdistill.models.features.dry_run import (
    DryRun,
    Pass,
    companion_grid,
    sizes_to_try,
    untouched,
)
from mmxdistill.models.features.entries import ENTRIES, entries_for
from mmxdistill.models.features.layouts import Layout, find_layout
from mmxdistill.models.features.names import (
    FeatureName,
    describe_output,
    named_features,
    require_stages,
    resolve_name,
    suggest,
    tensors_of,
)
from mmxdistill.models.features.recording import record
from mmxdistill.models.features.training import check_training

__all__ = ['FeatureExtractor', 'FeatureInfo']


class FeatureInfo(NamedTuple):
    """What the dry run found out about a feature.

    Attributes:
        name (FeatureName): Its module, call and place in the output.
        layout (Layout): Order of the dimensions.
        channels (int): C.
        grids (dict[tuple[int, int], tuple[int, ...]]): Size (H, W) of an
            image -> grid (h, w); empty of a vector.
        copy (bool): Whether it is copied, as the network would overwrite it.
    """

    name: FeatureName
    layout: Layout
    channels: int
    grids: dict[tuple[int, int], tuple[int, ...]]
    copy: bool = False

    def __str__(self) -> str:
        """For logs: ``backbone.layer3 (map, 1024 x 4 x 6 of 64 x 96)``."""
        size, grid = next(iter(self.grids.items()))
        shape = ' x '.join(str(n) for n in (self.channels, *grid))
        return (
            f'{self.name.text} ({self.layout.kind}, {shape} of '
            f'{size[0]} x {size[1]})'
        )


class FeatureExtractor:
    """Computes named features of a backbone or detector.

    A name is ``path``, ``path[index]`` or ``path#call``: the output of a
    sub-module, an element of it, and which of several calls in one pass,
    counted from 0. Stages of the Caffe-named backbones (``'pool5'``) and RoI
    features of their heads (``'fc6'``) have short names.

    A small image goes through the network when the extractor is made. It
    tells layout, channels and grid of each feature and the shortest part of
    the network that computes them; nothing behind the last feature is run
    later. The network's state and the random generators are left alone.

    Args:
        network (nn.Module): Backbone, or detector with ``extract_feat``.
        names (Sequence[str]): The features.
        role (str): What the network is, for messages.
        channels (int): Of the network's input. Defaults to 3.
        divisor (int): Sizes of images are multiples of it. Defaults to 32.
        whole (bool): Whether ``extract_feat`` is always run to its end,
            because somebody else needs its result. Defaults to False.

    Attributes:
        infos (dict[str, FeatureInfo]): Feature per name.
        entry (str): The part of the network that is run.
        needs_rois (bool): Whether a feature is computed per RoI.

    Raises:
        ValueError: A name that there is not, or is ambiguous; the message
            lists the valid ones. Or the network does not run.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Sequence[str],
        role: str,
        channels: int = 3,
        divisor: int = 32,
        whole: bool = False,
    ) -> None:
        self.network = network
        self.role = role
        self.names = [resolve_name(network, n) for n in dict.fromkeys(names)]
        self._dry_run = DryRun(network, channels)
        self._divisor = divisor
        self._copies: frozenset[str] = frozenset()
        self._stop = True
        paths = {path for path, _ in network.named_modules()}
        with untouched(network), torch.no_grad():
            for name in self.names:
                if name.path not in paths:
                    raise ValueError(self._unknown(name))
                require_stages(network, name.path)
            passes = self._explore()
            self.entry = passes[0].entry
            if whole and self.entry in ('backbone', 'extract_feat'):
                self.entry, self._stop = 'extract_feat', False
            self._copies = self._overwritten(passes[0])
            self.infos = {n.text: self._info(n, passes) for n in self.names}
        self.needs_rois = self.entry == 'rois'

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image that shows all features."""
        return next(iter(self.infos[self.names[0].text].grids))

    def _explore(self) -> list[Pass]:
        """Run sizes until one shows all features."""
        passes: list[Pass] = []
        for sizes in sizes_to_try(self.network, self._divisor):
            passes = self._dry_run.find(self.names, sizes)
            complete = [p for p in passes if len(p.found) == len(self.names)]
            if complete:
                return complete
            errors = [p.error for p in passes if p.error is not None]
            if not errors or isinstance(errors[0], LookupError):
                break  # no other size will help
        first = passes[0]
        missing = [n for n in self.names if n.text not in first.found]
        raise ValueError(self._not_found(missing[0], first))

    def _overwritten(self, seen: Pass) -> frozenset[str]:
        """Names of features that later layers write over."""
        again = self._dry_run.run(
            self.entry, self.names, seen.size, stop=self._stop
        )
        return frozenset(
            name for name, found in again.found.items() if found.overwritten
        )

    def _info(self, name: FeatureName, passes: Sequence[Pass]) -> FeatureInfo:
        recorded = passes[0].found[name.text]
        calls = passes[0].calls[name.path]
        if name.call is None and calls > 1:
            options = [f"'{name.path}#{i}'" for i in range(calls)]
            raise ValueError(
                f"the {self.role}'s '{name.text}' is called {calls} times in "
                f'one pass: write {", ".join(options[:-1])} or {options[-1]}'
            )
        if not isinstance(recorded.value, Tensor):
            raise ValueError(
                f"the {self.role}'s '{name.text}' is no tensor but "
                f'{describe_output(recorded.value)}: write '
                + (
                    ' or '.join(
                        row
                        for row in tensors_of(name.text, recorded.value)
                        if row.split(' ')[0] != name.text
                    )
                    or 'another feature'
                )
            )
        try:
            layout = find_layout([p.observe(name.text) for p in passes])
        except ValueError as error:
            raise ValueError(
                f"the {self.role}'s '{name.text}' cannot be used: {error}"
            ) from None
        grids = {}
        channels = 0
        for seen in passes:
            found = seen.found[name.text]
            grid = companion_grid(found)
            feature = layout.to_map(found.value, seen.size, grid)
            channels = feature.shape[1]
            grids[seen.size] = tuple(feature.shape[2:])
        return FeatureInfo(
            name, layout, channels, grids, name.text in self._copies
        )

    def _unknown(self, name: FeatureName) -> str:
        return (
            f'the {self.role} ({type(self.network).__name__}) has no feature '
            f"'{name.text}': {suggest(name.text, self.outputs())}"
        )

    def _not_found(self, name: FeatureName, seen: Pass) -> str:
        start = f"the {self.role}'s feature '{name.text}' "
        calls = seen.calls[name.path]
        if seen.error is not None and isinstance(seen.error, LookupError):
            start += 'is not in the output of its module '
            return f'{start}({seen.error}): {self._suggest(name)}'
        if seen.error is not None:
            return (
                f'{start}could not be found: an image of '
                f'{seen.size[0]} x {seen.size[1]} with '
                f'{self._dry_run.channels} channels does not pass the '
                f'network: {type(seen.error).__name__}: {seen.error}'
            )
        if calls:
            return (
                f'{start}does not exist: its module is called {calls} '
                f'time(s) in one pass, counted from 0'
            )
        return (
            f'{start}is never computed: its module is not called in a '
            f'forward pass. {self._suggest(name)}'
        )

    def _suggest(self, name: FeatureName) -> str:
        return suggest(name.text, self.outputs())

    def outputs(self) -> list[str]:
        """List what the network computes.

        Returns:
            list[str]: Names with shapes, ``'neck[1] (1 x 256 x 8 x 12)'``, in
            the order of computation.
        """
        rows: dict[str, str] = {}
        require_stages(self.network)
        short = {path: n for n, path in named_features(self.network).items()}
        paths = [p for p, _ in self.network.named_modules()]
        names = [FeatureName(p or 'backbone', p, None, ()) for p in paths]
        with untouched(self.network), torch.no_grad():
            for entry in reversed(entries_for(self.network, paths)):
                sizes = next(sizes_to_try(self.network, self._divisor))
                seen = self._dry_run.run(entry, names, sizes[0])
                for text, found in seen.found.items():
                    calls = seen.calls[found_path(text, names)]
                    several = f'#0 ... #{calls - 1}' if calls > 1 else ''
                    for row in tensors_of(
                        short.get(text, text) + several, found.value
                    ):
                        rows.setdefault(row.split(' ')[0], row)
        return list(rows.values()) or [p for p in paths if p]

    def grids(self, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
        """Compute the grids of all features for a size of images.

        Args:
            size (tuple[int, int]): Height and width.

        Returns:
            dict[str, tuple[int, ...]]: (h, w) per name; empty if the network
            does not take this size.
        """
        with untouched(self.network), torch.no_grad():
            seen = self._dry_run.run(self.entry, self.names, size, stop=True)
            if len(seen.found) < len(self.names):
                return {}
            return {
                name: tuple(
                    info.layout.to_map(
                        seen.found[name].value,
                        size,
                        companion_grid(seen.found[name]),
                    ).shape[2:]
                )
                for name, info in self.infos.items()
            }

    def of_noise(
        self,
        size: tuple[int, int],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> dict[str, Tensor]:
        """Compute the features of one image of noise, always the same.

        Args:
            size (tuple[int, int]): Height and width.
            mean (Sequence[float]): Of each channel of the network's input;
                the noise is uniform from 0 to 255 before it is subtracted.
            std (Sequence[float]): By which the rest is divided.

        Returns:
            dict[str, Tensor]: As the network gives them; those that it does
            not compute for this size are left out.
        """
        with untouched(self.network), torch.no_grad():
            torch.default_generator.manual_seed(0)
            seen = self._dry_run.run(
                self.entry,
                self.names,
                size,
                stop=self._stop,
                copies=self._copies,
                noise=(mean, std),
            )
        return {name: found.value for name, found in seen.found.items()}

    def unreached(self) -> list[str]:
        """Find what the features do not teach.

        Returns:
            list[str]: Names of the parameters that get no gradient from the
            features, although they could.

        Raises:
            ValueError: A feature has no gradient at all.
        """
        parameters = {
            key: p
            for key, p in self.network.named_parameters()
            if p.requires_grad
        }
        with untouched(self.network), torch.enable_grad():
            seen = self._dry_run.run(
                self.entry,
                self.names,
                self.size,
                stop=True,
                copies=self._copies,
            )
            values = {n: found.value for n, found in seen.found.items()}
            self.check_gradients(values)
            total = sum(value.float().sum() for value in values.values())
            gradients = torch.autograd.grad(
                total, list(parameters.values()), allow_unused=True
            )
        return [
            key
            for key, gradient in zip(parameters, gradients, strict=True)
            if gradient is None
        ]

    def check_training(self) -> None:
        """Refuse features that training mode changes.

        Raises:
            ValueError: See :func:`check_training`.
        """
        check_training(self._dry_run, self.entry, self.infos, self.role)

    def check_gradients(self, features: dict[str, Tensor]) -> None:
        """Refuse features through which nothing can be learned.

        Args:
            features (dict[str, Tensor]): Feature per name.

        Raises:
            ValueError: A feature has no gradient.
        """
        for name, feature in features.items():
            if not feature.requires_grad:
                raise ValueError(
                    f"the {self.role}'s feature '{name}' has no gradient, so "
                    'only the adaptation would learn: all layers up to it are '
                    'frozen (frozen_stages), or it is inside a block that is '
                    'recomputed (with_cp=True, activation checkpointing); '
                    'name the output of the whole block, or set with_cp=False'
                )

    def __call__(
        self,
        inputs: Tensor,
        rois: Tensor | None = None,
        samples: SampleList | None = None,
    ) -> dict[str, Tensor]:
        """Compute the features.

        Args:
            inputs (Tensor): Images (N, C, H, W).
            rois (Tensor, optional): (R, 5) as (image, x1, y1, x2, y2) in
                pixels of the input; needed if ``needs_rois``.
            samples (list[DetDataSample], optional): What a transformer's head
                wants to know of the images.

        Returns:
            dict[str, Tensor]: (N, C', h, w), (N, C', L, 1) of tokens without
            a grid, or (R, C') per RoI.

        Raises:
            RuntimeError: A feature was not computed, or was overwritten.
        """
        found, _ = record(
            self.network,
            self.names,
            lambda: ENTRIES[self.entry](self.network, inputs, rois, samples),
            self._copies,
            self._stop,
        )
        height, width = inputs.shape[-2:]
        features = {}
        for name, info in self.infos.items():
            if name not in found:
                raise RuntimeError(
                    f"the {self.role} did not compute '{name}' in this pass"
                )
            recorded = found[name]
            if recorded.overwritten:
                raise RuntimeError(
                    f"the {self.role}'s feature '{name}' was overwritten by "
                    'an operation in place after it was computed; it was not '
                    'when the model was built in evaluation mode'
                )
            features[name] = info.layout.to_map(
                recorded.value, (height, width), companion_grid(recorded)
            )
        return features


def found_path(text: str, names: Sequence[FeatureName]) -> str:
    """Path of a name."""
    return next(name.path for name in names if name.text == text)
