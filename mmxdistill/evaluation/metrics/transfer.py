"""How much of the teacher's feature the student explains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmxdistill.registry import METRICS

__all__ = ['TransferMetric']


@METRICS.register_module()
class TransferMetric(BaseMetric):
    """Transfer loss and explained variance on held-out pairs, without labels.

    The explained variance of a transfer point is one minus the squared error
    of the student over the variance of the teacher's feature around its mean
    per channel, both summed over all cells, channels and images: 1 is
    perfect, 0 is as good as the constant mean, and it can be negative.

    Metrics: ``transfer/explained_variance_<point>``,
    ``transfer/l2_<point>`` (mmengine would average a name with "loss" over
    several validations).

    Args: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'transfer'

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Collect the sums of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples from
                :meth:`SupervisionTransfer.predict`.

        Raises:
            KeyError: The model is no :class:`SupervisionTransfer`.
        """
        found = [s for s in data_samples if 'transfer_stats' in s]
        if not found:
            raise KeyError(
                "the samples have no 'transfer_stats': TransferMetric "
                'evaluates a SupervisionTransfer model'
            )
        self.results += [sample['transfer_stats'] for sample in found]

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Sum up over the data set.

        Args:
            results (list[dict]): Sums per batch.

        Returns:
            dict[str, float]: The metrics.
        """
        metrics = {}
        for name in results[0]:
            rows = [batch[name] for batch in results]
            images = sum(row['images'] for row in rows)
            cells = sum(row['cells'] for row in rows)
            error, total, square = (
                _sum(rows, key) for key in ('error', 'total', 'square')
            )
            variance = (square - total**2 / cells).sum()
            metrics[f'explained_variance_{name}'] = float(
                1 - error.sum() / variance
            )
            metrics[f'l2_{name}'] = (
                sum(row['loss'] * row['images'] for row in rows) / images
            )
        return metrics


def _sum(rows: list[dict], key: str) -> Tensor:
    return torch.stack([row[key] for row in rows]).sum(0)
