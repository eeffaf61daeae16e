"""Features of a network by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

__all__ = ['FeatureTap']

_SHOWN = 40


class _Recorder:
    """Forward hook that keeps the last output of a module."""

    def __init__(self) -> None:
        self.output: Any = None

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        """Keep the output."""
        self.output = output

    def pop(self) -> Any:
        """Hand the output out and forget it."""
        output, self.output = self.output, None
        return output


class FeatureTap:
    """Computes named features of a backbone or detector.

    A name is, in this order: a stage of a backbone with ``feature_names``
    (``'pool5'``), an RoI feature of the detector's head (``'fc6'``), or the
    dotted path of any sub-module (``'backbone.layer3'``,
    ``'neck.fpn_convs.1'``). No more of the network is run than is needed.

    Args:
        network (nn.Module): Backbone, or detector with ``backbone``.
        names (Sequence[str]): The features.
        role (str): What the network is, for messages.

    Attributes:
        needs_rois (bool): Whether a feature is computed per RoI.

    Raises:
        ValueError: Unknown name; the message lists the valid ones.
    """

    def __init__(
        self, network: nn.Module, names: Sequence[str], role: str
    ) -> None:
        self.network: Any = network
        self.backbone: Any = getattr(network, 'backbone', network)
        self.needs_rois = False
        self._needs_neck = False
        self._stages: dict[str, int] = {}
        self._recorders: dict[str, _Recorder] = {}
        self._backbone_output: _Recorder | None = None
        modules = dict(network.named_modules())
        stages = tuple(getattr(self.backbone, 'feature_names', ()))
        head = getattr(
            getattr(network, 'roi_head', None), 'bbox_head', nn.Module()
        )
        roi_features = getattr(head, 'feature_modules', {})
        wanted = []
        for name in dict.fromkeys(names):
            path = name
            if self.backbone is network:
                path = name.removeprefix('backbone.')
            if name in stages:
                wanted.append(name)
            elif name in roi_features:
                path = f'roi_head.bbox_head.{roi_features[name]}'
                self._record(name, modules[path])
                self.needs_rois = True
            elif path and path in modules:
                self._record(name, modules[path])
                self.needs_rois |= path.startswith('roi_head.')
                self._needs_neck |= not path.startswith('backbone.')
            else:
                raise ValueError(
                    self._unknown(name, role, stages, roi_features, modules)
                )
        if wanted:
            self._read_stages(wanted)

    def _record(self, name: str, module: nn.Module) -> None:
        self._recorders[name] = _Recorder()
        module.register_forward_hook(self._recorders[name])

    def _read_stages(self, names: list[str]) -> None:
        kept: tuple[str, ...] = ()
        if self.backbone is not self.network:
            kept = tuple(self.backbone.out_features)
            self._backbone_output = _Recorder()
            self.backbone.register_forward_hook(self._backbone_output)
        outputs = tuple(dict.fromkeys((*kept, *names)))
        self.backbone.out_features = outputs
        self._stages = {name: outputs.index(name) for name in names}

    def _unknown(
        self,
        name: str,
        role: str,
        stages: tuple[str, ...],
        roi_features: dict[str, str],
        modules: dict[str, nn.Module],
    ) -> str:
        paths = [path for path in modules if path]
        known = list(dict.fromkeys([*stages, *roi_features, *paths]))
        close = difflib.get_close_matches(name, known, 3)
        return (
            f'the {role} ({type(self.network).__name__}) has no feature '
            f"'{name}'"
            + (f'; did you mean {close}?' if close else '')
            + f' Stages: {list(stages)}; RoI features: {list(roi_features)}; '
            f'sub-modules: {paths[:_SHOWN]}'
            + (' ...' if len(paths) > _SHOWN else '')
        )

    def __call__(
        self, inputs: Tensor, rois: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the features.

        Args:
            inputs (Tensor): Images (N, C, H, W).
            rois (Tensor, optional): (R, 5) as (image, x1, y1, x2, y2) in
                pixels of the input; needed if ``needs_rois``.

        Returns:
            dict[str, Tensor]: (N, C', H', W'), or (R, C') for fc6 and fc7.
        """
        outputs: Any = None
        if self.backbone is self.network:
            outputs = self.network(inputs)
        elif self.needs_rois:
            x = self.network.extract_feat(inputs)
            self.network.roi_head._bbox_forward(x, rois)
        elif self._needs_neck:
            self.network.extract_feat(inputs)
        else:
            self.backbone(inputs)
        if self._backbone_output is not None:
            outputs = self._backbone_output.pop()
        features = {n: outputs[i] for n, i in self._stages.items()}
        for name, recorder in self._recorders.items():
            output = recorder.pop()
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"the output of '{name}' is a {type(output).__name__}, "
                    'not a tensor: name a sub-module that gives one feature '
                    'map and that the forward pass calls'
                )
            features[name] = output
        return features
