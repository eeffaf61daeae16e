"""Normalises box-regression targets per class and coordinate."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmxdistill.datasets.roidb import (
    match_rois,
    regression_targets,
    target_statistics,
    target_sums,
)
from mmxdistill.datasets.sample_boxes import SampleBoxes, map_boxes
from mmxdistill.models.roi_heads import FastRCNNBBoxHead
from mmxdistill.registry import HOOKS
from mmxdistill.tables import format_table

__all__ = ['BoxTargetNormalizationHook']

_KEY = 'box_normalization'
_PARTS = ('weight', 'bias')


@HOOKS.register_module()
class BoxTargetNormalizationHook(Hook):
    """Train on normalised box-regression targets, save plain weights.

    As the released training code (*Fast R-CNN*, ``roi_data_layer/roidb.py``
    and ``fast_rcnn/train.py``). Before the first iteration, mean and standard
    deviation of the targets are computed per class and coordinate over all
    foreground RoIs (ground truth, and proposals with an IoU of 0.5 or more)
    of the training set; images that the pipeline flips count in both
    orientations. Every :class:`FastRCNNBBoxHead` of the model is then trained
    on ``(target - mean) / std``.

    A checkpoint holds ``W * std`` and ``b * std + mean`` in place of the
    weights of ``fc_reg``, so that any config of the detector loads it without
    knowing the statistics. The trained weights and the statistics are kept
    beside the state dict, under 'box_normalization', for ``--resume``, which
    goes on with the same bits. ``load_from`` starts from the plain weights,
    as they are.

    A class without examples, or a coordinate whose target is always the same,
    has no standard deviation (Caffe: 0, so that the targets of such examples
    are NaN). It keeps mean 0 and standard deviation 1, and a warning names
    the class.
    """

    def __init__(self) -> None:
        self._resumed = False

    def before_train(self, runner: Runner) -> None:
        """Compute the statistics and hand them to the heads.

        Args:
            runner (Runner): The runner.

        Raises:
            TypeError: The model has no :class:`FastRCNNBBoxHead`.
            ValueError: The heads have other numbers of classes than the data
                set, or a moving average of the weights is kept, too.
        """
        heads = _heads(runner)
        if any(isinstance(hook, EMAHook) for hook in runner.hooks):
            raise ValueError(
                'BoxTargetNormalizationHook and EMAHook both replace the '
                'weights of a checkpoint: remove one of them'
            )
        if self._resumed:
            return
        dataset = runner.train_dataloader.dataset
        names = _class_names(heads, dataset)
        total = np.zeros((len(names), 9))
        for labels, sums in map_boxes(
            partial(_sums, len(names)), dataset, 'box statistics'
        ):
            total[labels] += sums
        means, stds, defined = target_statistics(total)
        for head in heads.values():
            head.set_box_statistics(
                torch.from_numpy(means), torch.from_numpy(stds)
            )
        runner.logger.info(
            'box-regression targets, mean ± standard deviation:\n'
            + _table(names, total[:, 0], means, stds)
        )
        missing = [names[i] for i in np.flatnonzero(~defined.all(1))]
        if missing:
            runner.logger.warning(
                f'The box-regression targets of {missing} have no spread (no '
                'proposal with an IoU of 0.5, or equal targets): they keep '
                'mean 0 and standard deviation 1. Caffe would divide by 0'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put plain weights in place of those of the regression.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Modified.
        """
        state = checkpoint['state_dict']
        kept: dict[str, dict[str, torch.Tensor]] = {}
        for name, head in _heads(runner).items():
            plain = head.unnormalized_regression()
            kept[name] = dict(
                means=head.bbox_means.cpu(), stds=head.bbox_stds.cpu()
            )
            for part, value in zip(_PARTS, plain, strict=True):
                key = _state_key(name, part)
                kept[name][part] = state[key]
                state[key] = value.cpu()
        checkpoint[_KEY] = kept

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go back to the trained weights if the run is resumed.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Modified.

        Raises:
            KeyError: The checkpoint is of a run without this hook, or of
                other heads.
        """
        if not runner._resume:
            return
        heads = _heads(runner)
        kept = checkpoint.get(_KEY, {})
        if set(kept) != set(heads):
            raise KeyError(
                f"cannot resume: under '{_KEY}' the checkpoint has the heads "
                f'{sorted(kept)}, the model {sorted(heads)}. It is of a run '
                'without BoxTargetNormalizationHook, or of another model: '
                'start from its weights by load_from without resume'
            )
        for name, head in heads.items():
            head.set_box_statistics(kept[name]['means'], kept[name]['stds'])
            for part in _PARTS:
                key = _state_key(name, part)
                checkpoint['state_dict'][key] = kept[name][part]
        self._resumed = True


def _heads(runner: Runner) -> dict[str, Any]:
    """The heads by their name in the model."""
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    heads = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, FastRCNNBBoxHead)
    }
    if not heads:
        raise TypeError(
            'BoxTargetNormalizationHook needs a '
            f'mmxdistill.FastRCNNBBoxHead, and the {type(model).__name__} has '
            'none: remove the hook'
        )
    return heads


def _class_names(heads: dict[str, Any], dataset: Any) -> list[str]:
    """Names of the classes, as many as each of the heads has."""
    names = list(dataset.metainfo['classes'])
    numbers = {name: head.num_classes for name, head in heads.items()}
    if set(numbers.values()) != {len(names)}:
        raise ValueError(
            f'the data set has the {len(names)} classes {names}, but '
            f'num_classes of the heads is {numbers}'
        )
    return names


def _state_key(head: str, part: str) -> str:
    return f'{head}.fc_reg.{part}'


def _sums(classes: int, sample: SampleBoxes) -> tuple[np.ndarray, np.ndarray]:
    """Classes of a sample and their :func:`target_sums` (classes, 9)."""
    rois = match_rois(sample.gt_boxes, sample.gt_labels, sample.proposals)
    examples, targets = regression_targets(rois)
    sums = target_sums(rois.labels[examples], targets, classes)
    # A mirrored image has the same targets but for the sign of dx or dy.
    signs = np.ones(9)
    for axis in range(2):
        signs[1 + axis] -= 2 * sum(
            p for flipped, p in sample.flips.items() if flipped[axis]
        )
    labels = np.flatnonzero(sums[:, 0])
    return labels, sums[labels] * signs


def _table(
    names: list[str], counts: np.ndarray, means: np.ndarray, stds: np.ndarray
) -> str:
    rows = [
        [
            name,
            f'{count:.0f}',
            *(f'{m:+.3f} ± {s:.3f}' for m, s in zip(*row, strict=True)),
        ]
        for name, count, *row in zip(names, counts, means, stds, strict=True)
    ]
    return format_table(['class', 'RoIs', 'dx', 'dy', 'dw', 'dh'], rows)
