import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmxdistill.evaluation.fusion_report import (
    LATE_FUSION,
    compare_fusions,
    format_report,
)
from mmxdistill.evaluation.fusion_weights import (
    candidate_weights,
    fit_fusion_weights,
    labelled_batches,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_models'))
from stock import changed, fused, image, pair, samples


def batch():
    """Two images of two modalities, as a data loader gives them."""
    x = torch.cat([image(), image(seed=1)], 1)
    return dict(inputs=list(x), data_samples=samples())


class Counter:
    """An evaluator that counts what it is given."""

    def __init__(self):
        self.scores = []

    def process(self, data_samples, data_batch):
        for sample in data_samples:
            self.scores += sample.pred_instances.scores.tolist()

    def evaluate(self, size):
        assert size == 2 and self.dataset_meta == 'meta'
        return dict(best=max(self.scores), number=len(self.scores))


def loader(batches):
    class Loader(list):
        dataset = SimpleNamespace(metainfo='meta')
        sampler = None

    return Loader(batches)


def test_one_report_of_all_methods():
    model = pair('yolox')
    found = compare_fusions(model, loader([batch()]), Counter)
    assert list(found)[:2] == ['a', 'b'] and list(found)[-1] == LATE_FUSION
    assert {'NMS of all boxes', 'probabilistic ensembling'} <= set(found)
    assert model.absent == ()
    data = model.data_preprocessor(batch(), False)
    for name, part in zip('ab', data['inputs'].split(3, 1), strict=True):
        own = model.streams[name].predict(part.contiguous(), samples())
        scores = torch.cat([s.pred_instances.scores for s in own])
        assert found[name]['best'] == pytest.approx(scores.max().item())
        assert found[name]['number'] == len(scores)
    pooled = found['NMS of all boxes']
    assert pooled['best'] == max(found[n]['best'] for n in 'ab')
    table = format_report(found).splitlines()
    assert table[0].split() == '| method | best | number |'.split()
    assert len(table) == 2 + len(found)
    with pytest.raises(ValueError, match='YOLOX has no streams'):
        compare_fusions(model.streams['a'], loader([]), Counter)


def test_candidates():
    found = candidate_weights(2, 4)
    assert found[0].tolist() == [0.5, 0.5] and len(found) == 5
    assert np.allclose(found.sum(1), 1)
    distance = np.abs(found - 0.5).sum(1)
    assert (np.diff(distance) >= 0).all()
    assert len(candidate_weights(3, 2)) == 7


def test_fit():
    """The truth is what the second stream detects best."""
    model, data = pair('yolox'), batch()
    part = model.data_preprocessor(batch(), False)['inputs'][:, 3:]
    own = model.streams['b'].predict(part.contiguous(), samples())
    truths = []
    for sample in own:
        best = sample.pred_instances[:6]
        truths.append((best.bboxes, best.labels))
    fit = fit_fusion_weights(model, [(data, truths)], steps=2)
    assert fit.weights == dict(a=0.0, b=1.0)
    assert fit.ap > fit.equal_ap and fit.class_ap >= fit.ap
    assert fit.curve.shape == (3, 3)
    model.make_weights(fit.class_weights)
    assert "weights={'a': 0.0, 'b': 1.0}" in str(fit)
    assert fit.alone()['b'] == fit.ap > fit.alone()['a']
    assert f'b {100 * fit.ap:.2f}\nequal weights' in str(fit)
    nothing = [(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))] * 2
    with pytest.raises(ValueError, match='no objects'):
        fit_fusion_weights(model, [(data, nothing)], steps=1)


@pytest.mark.parametrize(
    ('absent', 'missing'), [(('a',), ()), ((), ('a',)), ((), ('b',))]
)
def test_fit_leaves_out_what_a_test_leaves_out(absent, missing):
    """Zeros in the place of a modality are not what it has seen."""
    data = batch()
    for sample in data['data_samples']:
        sample.set_metainfo(dict(missing_modalities=missing))
    with changed(pair('yolox'), absent=absent) as model:
        inputs = model.data_preprocessor(data, False)['inputs']
        truths = [
            (found.bboxes[:6], found.labels[:6])
            for found in (
                sample.pred_instances
                for sample in model.predict(inputs, data['data_samples'])
            )
        ]
        fit = fit_fusion_weights(model, [(data, truths)], steps=4)
    # One stream is left, whose weight makes no difference.
    assert np.nanmean(fit.curve) > 0
    np.testing.assert_array_equal(fit.curve, np.stack([fit.curve[0]] * 5))
    assert fit.weights == dict(a=0.5, b=0.5)


def test_labels_of_a_loader():
    infos = [
        dict(
            instances=[
                dict(bbox=[1, 2, 3, 4], bbox_label=2, ignore_flag=0),
                dict(bbox=[5, 6, 7, 8], bbox_label=0, ignore_flag=1),
            ]
        ),
        dict(instances=[]),
    ]
    batches = loader([batch()])
    batches.dataset = SimpleNamespace(get_data_info=infos.__getitem__)
    ((_, truths),) = labelled_batches(batches)
    assert [boxes.tolist() for boxes, _ in truths] == [[[1, 2, 3, 4]], []]
    assert [labels.tolist() for _, labels in truths] == [[2], []]
    batches.sampler = SimpleNamespace(shuffle=True)
    with pytest.raises(ValueError, match='shuffle=False'):
        next(labelled_batches(batches))


def test_nothing_to_weigh():
    from stock import config

    model = fused(dict(a=config('yolox')))
    with pytest.raises(ValueError, match='the only stream'):
        fit_fusion_weights(model, [])
