"""Weights of a fusion that are fitted before its test."""

import logging
from types import SimpleNamespace

import pytest
from mmengine.config import ConfigDict

from mmxdistill.engine.hooks import FusionWeightsHook, fusion_weights


def runner(val, test):
    cfg = ConfigDict(
        val_dataloader=dict(dataset=val), test_dataloader=dict(dataset=test)
    )
    model = SimpleNamespace(make_weights=lambda w: ('made', w), weights=None)
    return SimpleNamespace(
        cfg=cfg,
        model=model,
        build_dataloader=lambda loader: loader.dataset.ann_file,
        logger=logging.getLogger('test'),
    )


def test_weights_of_the_validation_set_are_used(monkeypatch):
    def fit(model, batches, steps):
        assert (batches, steps) == ('labels of train', 5)
        return SimpleNamespace(weights=dict(rgb=0.7, flow=0.3))

    monkeypatch.setattr(fusion_weights, 'fit_fusion_weights', fit)
    monkeypatch.setattr(
        fusion_weights, 'labelled_batches', lambda x: f'labels of {x}'
    )
    fitted = runner(dict(ann_file='train'), dict(ann_file='test'))
    FusionWeightsHook(steps=5).before_test(fitted)
    assert fitted.model.weights == ('made', dict(rgb=0.7, flow=0.3))


def test_the_test_set_is_no_validation_set():
    same = runner(dict(ann_file='test'), dict(ann_file='test'))
    with pytest.raises(ValueError, match='read the same data set'):
        FusionWeightsHook().before_test(same)
    assert same.model.weights is None
