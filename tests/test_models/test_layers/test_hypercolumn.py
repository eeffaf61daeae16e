import numpy as np
import pytest
import torch
from golden import assert_close, leaf

from mmxdistill.models.layers import select_class_channels, sum_hypercolumn
from mmxdistill.registry import MODELS


def build(kind, **kwargs):
    return MODELS.build(dict(type=f'mmxdistill.{kind}', **kwargs))


@pytest.fixture(scope='module')
def sds(caffe_golden):
    meta, groups = caffe_golden('layer_sds')

    def cases(prefix):
        found = [
            (name, meta[name], groups[name])
            for name in meta
            if name.startswith(prefix)
        ]
        assert found
        return found

    return cases


def classes(arrays):
    return torch.tensor(arrays['categids']).flatten().long()


def backward(top, arrays, case):
    assert_close(top, arrays['top'], case)
    top.backward(torch.tensor(arrays['top_diff']))


@pytest.mark.golden
def test_golden_box_upsample(sds):
    for case, settings, arrays in sds('box_upsample'):
        layer = build(
            'BoxUpsample',
            channels=settings['channels'],
            size=(settings['height'], settings['width']),
        )
        bottom = leaf(arrays['bottom'])
        boxes = torch.tensor(arrays['boxes']).flatten(1)
        top = layer(bottom, boxes[:, [0, 2, 3, 4, 5]], boxes[:, 1].long())
        backward(top, arrays, case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


@pytest.mark.golden
def test_golden_select_class_channels(sds):
    for case, settings, arrays in sds('pick_slice'):
        bottom = leaf(arrays['bottom'])
        picked = select_class_channels(
            bottom, classes(arrays), settings['channels']
        )
        backward(picked, arrays, case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


@pytest.mark.golden
def test_golden_repetition_and_sum(sds):
    for case, settings, arrays in sds('repmat'):
        bottom = leaf(arrays['bottom'])
        size = settings['rep_h'], settings['rep_w']
        backward(sum_hypercolumn(bottom, [], size), arrays, case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)
    for case, _, arrays in sds('sum'):
        terms = {
            name: leaf(array)
            for name, array in arrays.items()
            if 'top' not in name and 'diff' not in name
        }
        shape = arrays['top'].shape
        zeros = torch.zeros(shape[:2])
        top = sum_hypercolumn(zeros, list(terms.values()), shape[2:])
        backward(top, arrays, case)
        for name, term in terms.items():
            expected = arrays.get(f'{name}_diff', arrays['top_diff'])
            assert_close(term.grad, expected, case)


@pytest.mark.golden
def test_golden_classifier_grid(sds):
    for case, settings, arrays in sds('locally_connected_g'):
        bottom = leaf(arrays['bottom'])
        layer = build('ClassifierGrid', grid_size=settings['grid_size'])
        backward(layer(bottom)[:, None], arrays, case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


@pytest.mark.golden
def test_golden_classifier_grid_loss(sds):
    for case, settings, arrays in sds('locally_connected_loss'):
        bottom = leaf(arrays['bottom'])
        layer = build('ClassifierGridLoss', grid_size=settings['grid_size'])
        loss = layer(
            bottom,
            torch.tensor(arrays['label'])[:, 0],
            torch.tensor(arrays['instance_wts']).flatten(),
        )
        loss.backward()
        assert_close(loss, arrays['loss'], case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


def test_classifier_grid_of_several_classes():
    """Caffe's layer takes classes * grid^2 channels: one map a class."""
    torch.manual_seed(0)
    grid, loss = (
        build(kind, grid_size=3)
        for kind in ('ClassifierGrid', 'ClassifierGridLoss')
    )
    logits = torch.randn(2, 4 * 9, 5, 6)
    targets, weights = torch.randint(-1, 2, (2, 4, 5, 6)), torch.rand(2)
    parts = logits.split(9, 1)
    found = grid(logits)
    torch.testing.assert_close(found, torch.stack([*map(grid, parts)], 1))
    total = sum(
        loss(part, targets[:, i], weights) for i, part in enumerate(parts)
    )
    torch.testing.assert_close(loss(logits, targets, weights), total)
    with pytest.raises(ValueError, match=r'targets must be \(2, 4, 5, 6\)'):
        loss(logits, targets[:, 0], weights)


def random_boxes(count, num_images, seed=0):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * 1.2 - 0.1
    corners = corners.sort(dim=1).values.flatten(1)
    image = torch.arange(count)[:, None] % num_images
    return torch.cat((image, corners), 1)


def test_upsampling_is_the_formula_of_the_release():
    """Position ((i + .5)(hi - lo) / n + lo) * N - .5, index clamped."""
    torch.manual_seed(0)
    maps = torch.randn(2, 3 * 4, 7, 9, dtype=torch.float64)
    boxes = random_boxes(20, 2).double()
    labels = torch.arange(20) % 3
    found = build('BoxUpsample', channels=4, size=(5, 6))(maps, boxes, labels)
    for r in range(20):
        image, low_x, low_y, high_x, high_y = boxes[r].tolist()
        map_of_class = maps[int(image), 4 * labels[r] : 4 * labels[r] + 4]
        for axis, low, high, count, cells in (
            (1, low_y, high_y, 5, 7),
            (2, low_x, high_x, 6, 9),
        ):
            place = (np.arange(count) + 0.5) * (high - low) / count + low
            place = place * cells - 0.5
            first = np.floor(place)
            share = torch.tensor(place - first)
            share = share[:, None] if axis == 1 else share
            ends = (
                map_of_class.index_select(
                    axis, torch.tensor(end.clip(0, cells - 1)).long()
                )
                for end in (first, first + 1)
            )
            map_of_class = torch.lerp(*ends, share)
        torch.testing.assert_close(found[r], map_of_class)


def test_upsampling_a_whole_map_to_its_size_changes_nothing():
    maps = torch.randn(1, 3, 6, 8)
    layer = build('BoxUpsample', channels=3, size=(6, 8))
    box = torch.tensor([[0, 0, 0, 1, 1.0]])
    found = layer(maps, box, torch.tensor([0]))
    torch.testing.assert_close(found, maps, rtol=0, atol=1e-6)


def test_half_precision_maps_are_sampled_in_float32():
    maps = torch.randn(1, 6, 7, 9).half()
    layer = build('BoxUpsample', channels=3, size=4)
    place = random_boxes(3, 1), torch.arange(3) % 2
    found = layer(maps, *place)
    assert found.dtype == torch.float32
    assert torch.equal(found, layer(maps.float(), *place))


@pytest.mark.parametrize('count', [0, 5])
def test_gradients_in_float64(count):
    torch.manual_seed(0)
    maps = torch.randn(2, 2 * 3, 4, 5, dtype=torch.float64)
    boxes = random_boxes(count, 2)
    labels = torch.arange(count) % 2
    layer = build('BoxUpsample', channels=3, size=(3, 4))
    top = layer(maps.requires_grad_(), boxes, labels)
    assert top.shape == (count, 3, 3, 4) and top.dtype == maps.dtype
    top.sum().backward()
    assert maps.grad is not None
    assert torch.autograd.gradcheck(
        lambda x: layer(x, boxes, labels), maps.detach().requires_grad_()
    )


def test_each_classifier_decides_at_its_centre():
    # 15 pixels for 5 classifiers: the middle one of three is a centre.
    logits = torch.randn(2, 25, 15, 15)
    found = build('ClassifierGrid', grid_size=5)(logits)
    centre = logits[:, :, 1::3, 1::3]
    rows = torch.arange(5)
    own = centre.unflatten(1, (5, 5))[
        :, rows[:, None], rows, rows[:, None], rows
    ]
    torch.testing.assert_close(found[:, 1::3, 1::3], own.sigmoid())


def test_loss_is_the_log_of_the_probability():
    torch.manual_seed(0)
    logits = torch.randn(3, 9, 7, 8)
    targets = torch.randint(-1, 2, (3, 7, 8))
    weights = torch.rand(3)
    p = build('ClassifierGrid', grid_size=3)(logits)
    log = torch.where(targets == 1, p.log(), (1 - p).log())
    log[targets == -1] = 0
    expected = -(log.sum((1, 2)) * weights).sum() / 3 * 0.5
    loss = build('ClassifierGridLoss', grid_size=3, loss_weight=0.5)
    torch.testing.assert_close(loss(logits, targets, weights), expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.float32])
def test_saturated_logits(dtype):
    logits = torch.full((1, 4, 6, 6), 300.0, dtype=dtype, requires_grad=True)
    probability = build('ClassifierGrid', grid_size=2)
    loss = build('ClassifierGridLoss', grid_size=2)
    weights = torch.ones(1)
    assert (probability(logits) == 1).all()
    assert (probability(-logits) == 0).all()
    for target, sign in ((1, -1), (0, 1)):
        targets = torch.full((1, 6, 6), target)
        right = loss(-sign * logits, targets, weights)
        wrong = loss(sign * logits, targets, weights)
        assert right.item() == pytest.approx(0, abs=1e-5)
        # As sharp as the logits: no clamp, no infinity.
        assert wrong.item() == pytest.approx(300 * 36)
        (grad,) = torch.autograd.grad(wrong, logits)
        assert grad.sum().item() == pytest.approx(36, rel=1e-3)


def test_ignored_pixels_and_no_boxes():
    loss = build('ClassifierGridLoss', grid_size=2)
    logits = torch.randn(2, 4, 5, 5)
    logits[0] = 1e30
    logits.requires_grad_()
    targets = torch.zeros(2, 5, 5)
    targets[0] = -1
    value = loss(logits, targets, torch.ones(2))
    (grad,) = torch.autograd.grad(value, logits)
    assert value.isfinite() and (grad[0] == 0).all() and grad[1].any()
    empty = logits[:0]
    value = loss(empty, targets[:0], torch.ones(0))
    value.backward()
    assert value == 0


@pytest.mark.parametrize(
    ('shape', 'box', 'label', 'message'),
    [
        ((1, 6, 4, 4), [0, 0, 0, 1, 1.0], 2, 'label must be from 0 to 1'),
        ((1, 6, 4, 4), [0, 0, 0, 1, 1.0], -1, 'label must be from 0 to 1'),
        ((1, 6, 4, 4), [1, 0, 0, 1, 1.0], 0, 'batch index must be from 0'),
        ((1, 6, 4, 4), [0, 0, 0, 1, np.nan], 0, 'finite'),
        ((1, 6, 4, 4), [0, 0, 1, 1.0], 0, r'\(R, 5\)'),
        ((1, 7, 4, 4), [0, 0, 0, 1, 1.0], 0, 'multiple of 3'),
        ((1, 6, 4), [0, 0, 0, 1, 1.0], 0, r'\(N, C, H, W\)'),
    ],
)
def test_bad_input_of_box_upsample(shape, box, label, message):
    layer = build('BoxUpsample', channels=3, size=2)
    with pytest.raises(ValueError, match=message):
        layer(torch.zeros(shape), torch.tensor([box]), torch.tensor([label]))


def test_bad_input_of_the_others():
    with pytest.raises(ValueError, match='must be positive'):
        build('BoxUpsample', channels=3, size=0)
    with pytest.raises(ValueError, match='label must be from 0 to 1'):
        select_class_channels(torch.zeros(1, 6), torch.tensor([2]), 3)
    with pytest.raises(ValueError, match='one label per row'):
        select_class_channels(torch.zeros(2, 6), torch.tensor([1]), 3)
    with pytest.raises(ValueError, match=r'R, 9, h, w'):
        build('ClassifierGrid', grid_size=3)(torch.zeros(1, 4, 5, 5))
    loss = build('ClassifierGridLoss', grid_size=2)
    with pytest.raises(ValueError, match=r'targets must be \(1, 5, 5\)'):
        loss(torch.zeros(1, 4, 5, 5), torch.zeros(1, 1, 5, 5), torch.ones(1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    torch.manual_seed(0)
    boxes, labels = random_boxes(40, 2), torch.arange(40) % 3
    maps = torch.randn(2, 3 * 9, 20, 30)
    targets, weights = torch.randint(-1, 2, (40, 12, 13)), torch.rand(40)
    upsample = build('BoxUpsample', channels=9, size=(12, 13))
    grid = build('ClassifierGrid', grid_size=3)
    loss = build('ClassifierGridLoss', grid_size=3)
    results = []
    for device in ('cpu', 'cuda'):
        inputs = maps.to(device).requires_grad_()
        place = boxes.to(device), labels.to(device)
        logits = upsample(inputs, *place)
        value = loss(logits, targets.to(device), weights.to(device))
        (grad,) = torch.autograd.grad(value, inputs)
        results.append([x.cpu() for x in (logits, grid(logits), value, grad)])
    for cpu, cuda in zip(*results, strict=True):
        scale = cpu.abs().max()
        torch.testing.assert_close(
            cuda / scale, cpu / scale, rtol=0, atol=1e-5
        )
