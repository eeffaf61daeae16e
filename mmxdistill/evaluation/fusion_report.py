"""Late fusion beside its streams and beside fusions of finished boxes."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample, SampleList
from mmengine.logging import print_log

from mmxdistill.evaluation.box_fusion import available_fusions
from mmxdistill.tables import format_table

__all__ = [
    'LATE_FUSION',
    'comparable_evaluator',
    'compare_fusions',
    'format_report',
]

LATE_FUSION = 'late fusion'


def compare_fusions(
    model: Any,
    loader: Any,
    build_evaluator: Callable[[], Any],
) -> dict[str, dict[str, float]]:
    """Evaluate streams, late fusion and box-level baselines in one pass.

    Args:
        model (LateFusionDetector): With its weights.
        loader (DataLoader): Of the test set.
        build_evaluator (Callable): Makes a new evaluator.

    Returns:
        dict[str, dict[str, float]]: Stream or method -> its metrics.
        Weighted boxes fusion is left out where ``ensemble-boxes`` is missing.

    Raises:
        ValueError: The model has no streams, or there is no batch.
    """
    names = list(getattr(model, 'streams', {}))
    if not names:
        raise ValueError(
            f'{type(model).__name__} has no streams: give the config of a '
            'mmxdistill.LateFusionDetector'
        )
    baselines = available_fusions() if len(names) > 1 else {}
    evaluators = {
        method: build_evaluator()
        for method in (*names, *baselines, LATE_FUSION)
    }
    model.eval()
    count = 0
    for evaluator in evaluators.values():
        evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        results = _results(model, names, baselines, batch)
        for method, found in results.items():
            evaluators[method].process(data_samples=found, data_batch=batch)
        count += len(results[LATE_FUSION])
    if not count:
        raise ValueError('the data set of the comparison is empty')
    return {
        method: evaluator.evaluate(count)
        for method, evaluator in evaluators.items()
    }


def comparable_evaluator(evaluator: Any) -> Any:
    """Config of an evaluator that takes detections of any kind.

    Caffe's limit over all images (``max_per_image`` of
    :class:`ClasswiseVOCMetric`) needs the scores of all boxes before NMS,
    which fused boxes do not have: it is left out, for all methods.

    Args:
        evaluator (dict | list[dict]): ``test_evaluator`` of a config.

    Returns:
        list[dict]: A copy.
    """
    metrics = copy.deepcopy(evaluator)
    metrics = metrics if isinstance(metrics, list) else [metrics]
    for metric in metrics:
        kind = metric['type']
        name = kind if isinstance(kind, str) else kind.__name__
        if name.rpartition('.')[2] == 'ClasswiseVOCMetric':
            metric['max_per_image'] = None
            print_log(
                'all methods are evaluated without max_per_image',
                'current',
                logging.WARNING,
            )
    return metrics


def format_report(results: dict[str, dict[str, float]]) -> str:
    """Table of :func:`compare_fusions`, one row per method.

    Args:
        results (dict[str, dict[str, float]]): Method -> metrics.

    Returns:
        str: Markdown.
    """
    metrics = list(dict.fromkeys(k for row in results.values() for k in row))
    return format_table(
        ['method', *metrics],
        [
            [method, *(_shown(row.get(metric)) for metric in metrics)]
            for method, row in results.items()
        ],
    )


def _shown(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, (int, float)) else '-'


@torch.no_grad()
def _results(
    model: Any, names: Sequence[str], baselines: dict, batch: dict
) -> dict[str, SampleList]:
    data = model.data_preprocessor(batch, False)
    inputs, samples = data['inputs'], data['data_samples']
    found: dict[str, SampleList] = {}
    for name in names:
        with model.only(name):
            found[name] = model.predict(inputs, copy.deepcopy(samples))
    per_stream = [found[name] for name in names]
    for method, fuse in baselines.items():
        found[method] = []
        for of_streams in zip(*per_stream, strict=True):
            sample: DetDataSample = copy.copy(of_streams[0])
            sample.pred_instances = fuse(
                [s.pred_instances for s in of_streams]
            )
            found[method].append(sample)
    found[LATE_FUSION] = model.predict(inputs, samples)
    return found
