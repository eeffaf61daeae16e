"""mmdet's functions for single images, and configs whose data are pairs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from mmdet.apis import DetInferencer, inference

__all__ = ['teach_mmdet_inference']


def teach_mmdet_inference() -> None:
    """Let ``inference_detector`` and ``DetInferencer`` refuse pairs.

    They load one image, and of a config that loads several they tell which
    transform or key they did not find. Both are changed in place, and before
    they need it: they build the test data set first, for its classes.
    """
    if hasattr(DetInferencer._init_pipeline, 'unchecked'):
        return
    DetInferencer._init_pipeline = _checked(DetInferencer._init_pipeline)
    # What inference_detector reads its pipeline by.
    inference.get_test_pipeline_cfg = _checked(inference.get_test_pipeline_cfg)


def _checked(function: Any) -> Any:
    @functools.wraps(function)
    def checked(*args: Any) -> Any:
        _check(args[-1])
        return function(*args)

    checked.unchecked = function  # type: ignore[attr-defined]
    return checked


def _check(cfg: Any) -> None:
    """Refuse the config of a data set with modalities.

    Raises:
        ValueError: Says what to use.
    """
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    names = list(dataset.get('use') or dataset.get('modalities') or ())
    for step in dataset.get('pipeline') or ():
        kind = step['type']
        if str(getattr(kind, '__name__', kind)).endswith('LoadModalities'):
            names = names or [
                name
                for name, spec in step['modalities'].items()
                if isinstance(spec, (Mapping, list, tuple))
            ]
    if names:
        given = ', '.join(f'{name}=...' for name in names)
        raise ValueError(
            f"'{getattr(cfg, 'filename', None) or 'the config'}' loads "
            f'{" and ".join(names)} of each scene, but inference_detector and '
            'DetInferencer of mmdet give it one image: use '
            'mmxdistill.apis.MultiModalInferencer(config, weights)(dict('
            f'{given})), or python -m mmxdistill.infer'
        )


teach_mmdet_inference()
