"""What holds for fusions of all kinds of heads, on mmdet's own detectors."""

import pytest
import torch
from stock import (
    CLASSES,
    ONE_STAGE,
    OTHER_ONE_STAGE,
    TWO_STAGE,
    assert_same,
    changed,
    config,
    fused,
    image,
    pair,
    samples,
)

from mmxdistill.models.fusion import (
    CascadeFusion,
    DenseFusion,
    RoIFusion,
    build_fusion,
)

KINDS = [*TWO_STAGE, *ONE_STAGE, *OTHER_ONE_STAGE, 'yolov3', 'rpn']


def both(n=2):
    """A batch of two modalities."""
    return torch.cat([image(n), image(n, seed=1)], 1)


@pytest.mark.parametrize('name', KINDS)
def test_fused_with_itself(name):
    """... and alone, as the other stream is absent: its own detections."""
    model, x = pair(name), image(1)
    own = model.streams['a'].predict(x, samples(1))
    with changed(model, same=True):
        found = model.predict(torch.cat([x, x], 1), samples(1))
    # Probabilities go to logits and back.
    assert_same(found, own, exact=name != 'tood')
    noise = torch.full_like(x, torch.nan)
    with changed(model, absent=('b',)):
        found = model.predict(torch.cat([x, noise], 1), samples(1))
    assert_same(found, own)


def test_one_stream():
    model = fused(dict(a=config('yolox')))
    own = model.streams['a'].predict(image(), samples())
    assert_same(model.predict(image(), samples()), own)


@pytest.mark.parametrize('name', ['cascade_mask_rcnn', 'yolox'])
def test_missing_modality_of_some_samples(name):
    model, x, batch = pair(name), both(), samples()
    batch[1].set_metainfo(dict(missing_modalities=('a',)))
    found = model.predict(x, batch)
    assert_same(found[:1], model.predict(x[:1], samples(1)))
    alone = model.streams['b'].predict(x[1:, 3:], samples()[1:])
    assert_same(found[1:], alone)
    batch[1].set_metainfo(dict(missing_modalities=('a', 'b')))
    with pytest.raises(ValueError, match='no stream is left for .1.jpg'):
        model.predict(x, batch)


@pytest.mark.parametrize('name', ['faster_rcnn', 'yolox', 'atss'])
def test_equal_weights_per_class_change_nothing(name):
    model, x = pair(name), both(1)
    with changed(model, [0.3, 0.7]):
        expected = model.predict(x, samples(1))
    with changed(model, [[0.3] * CLASSES, [0.7] * CLASSES]):
        found = model.predict(x, samples(1))
    assert_same(found, expected, exact=False)


@pytest.mark.parametrize('name', ['faster_rcnn', 'yolox'])
def test_weights_of_a_class(name):
    x = both(1)

    def scores(weights=None, absent=()):
        with changed(pair(name), weights, [1, 1], absent) as model:
            return model(x, samples(1, proposals=True), mode='tensor')[0]

    f = scores([[1, 0, 0], [0, 1, 1]])
    a, b = scores(absent=('b',)), scores(absent=('a',))
    if name == 'yolox':
        for level, u, v in zip(f, a, b, strict=True):
            assert level.equal(torch.cat([u[:, :1], v[:, 1:]], 1))
    else:  # logarithms of probabilities; the background has the mean
        u, v = a.log_softmax(-1), b.log_softmax(-1)
        last = (u[:, 3:] + 2 * v[:, 3:]) / 3
        expected = torch.cat([u[:, :1], v[:, 1:3], last], 1)
        torch.testing.assert_close(f, expected)


def test_kind_of_fusion():
    kinds = dict(
        faster_rcnn=RoIFusion,
        cascade_mask_rcnn=CascadeFusion,
        yolox=DenseFusion,
    )
    for name, kind in kinds.items():
        assert type(pair(name).fusion) is kind
    roi, cascade, one = (pair(name).streams['a'] for name in kinds)
    with pytest.raises(ValueError, match=r"'a' \(YOLOX\) by priors, 'b' \(Fa"):
        build_fusion(dict(a=one, b=roi))
    with pytest.raises(ValueError, match='RoIs in one step.*several stages'):
        build_fusion(dict(a=roi, b=cascade))
