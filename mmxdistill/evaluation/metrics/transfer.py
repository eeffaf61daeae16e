"""How much of the teacher's feature the student explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric

from mmxdistill.registry import METRICS

__all__ = ['TransferMetric']

_PATHS = ('img_path', 'modality_paths')


@METRICS.register_module()
class TransferMetric(BaseMetric):
    """Transfer loss and explained variance on held-out pairs, without labels.

    The explained variance of a transfer point is one minus the squared error
    of the student over the variance of the teacher's feature around its mean
    per channel, both summed over all cells, channels and images: 1 is
    perfect, 0 is as good as the constant mean, and it can be negative.

    Cells of padding do not count, and a pair that several processes have seen
    (samplers fill up the last batch) counts once. Sums are made in the order
    of the pairs' names, so neither batch size nor number of processes change
    a digit.

    Metrics: ``transfer/explained_variance_<point>``,
    ``transfer/l2_<point>`` (mmengine would average a name with "loss" over
    several validations).

    Args: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'transfer'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the sums of each pair.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples from
                :meth:`SupervisionTransfer.predict`.

        Raises:
            KeyError: The model is no :class:`SupervisionTransfer`.
        """
        for sample in data_samples:
            if 'transfer_stats' not in sample:
                raise KeyError(
                    "the samples have no 'transfer_stats': TransferMetric "
                    'evaluates a SupervisionTransfer model'
                )
            self.results.append((_identity(sample), sample['transfer_stats']))

    def compute_metrics(
        self, results: list[tuple[str, dict]]
    ) -> dict[str, float]:
        """Sum up over the data set.

        Args:
            results (list[tuple[str, dict]]): Name and sums per pair.

        Returns:
            dict[str, float]: The metrics.
        """
        # Nameless samples are all kept; mmengine cuts off surplus ones.
        named = {name: stats for name, stats in results if name}
        rows = [named[name] for name in sorted(named)]
        rows += [stats for name, stats in results if not name]
        metrics = {}
        for point in rows[0]:
            stats = [row[point] for row in rows]
            cells = sum(row['cells'] for row in stats)
            error, square, loss = (
                math.fsum(row[key] for row in stats)
                for key in ('error', 'square', 'loss')
            )
            total = torch.stack([row['total'] for row in stats]).sum(0)
            variance = square - float((total**2).sum()) / cells
            metrics[f'explained_variance_{point}'] = 1 - error / variance
            metrics[f'l2_{point}'] = loss / len(stats)
        return metrics


def _identity(sample: Mapping) -> str:
    """What names a pair; empty if it has no name."""
    if not any(key in sample for key in _PATHS):
        return ''  # every data set numbers its images from 0
    known = [str(sample[key]) for key in (*_PATHS, 'img_id') if key in sample]
    return '\n'.join(known)
