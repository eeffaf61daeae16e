import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmxdistill.models.layers import (
    CaffeRoIPool,
    roi_pool,
    roi_pool_with_argmax,
    window_max,
)
from mmxdistill.registry import MODELS

CELL = 16
LOWEST = np.finfo(np.float32).min


def away_from_zero(value: np.float32) -> int:
    """C's ``round``."""
    exact = abs(float(value)) + 0.5
    return int(np.copysign(np.floor(exact), value))


def axis_bins(start: int, end: int, count: int, limit: int) -> list[range]:
    """Cells of each bin along one axis."""
    size = np.float32(max(end - start + 1, 1)) / np.float32(count)
    edges = [np.float32(p) * size for p in range(count + 1)]
    return [
        range(
            min(max(int(np.floor(lo)) + start, 0), limit),
            min(max(int(np.ceil(hi)) + start, 0), limit),
        )
        for lo, hi in itertools.pairwise(edges)
    ]


def reference(
    maps: np.ndarray,
    rois: np.ndarray,
    size: tuple[int, int],
    scale: float,
    grad_top: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled values, arg-max and input gradient, cell by cell."""
    _, chans, height, width = maps.shape
    top = np.zeros((len(rois), chans, *size), maps.dtype)
    argmax = np.full(top.shape, -1)
    grad = np.zeros(maps.shape)
    for r, roi in enumerate(rois.astype(np.float32)):
        n = int(roi[0])
        x1, y1, x2, y2 = (
            away_from_zero(v * np.float32(scale)) for v in roi[1:]
        )
        rows = axis_bins(y1, y2, size[0], height)
        cols = axis_bins(x1, x2, size[1], width)
        for c, p, q in np.ndindex(chans, *size):
            if not rows[p] or not cols[q]:
                continue
            best = LOWEST
            for y in rows[p]:
                for x in cols[q]:
                    if maps[n, c, y, x] > best:
                        best = maps[n, c, y, x]
                        argmax[r, c, p, q] = y * width + x
            top[r, c, p, q] = best
            y, x = divmod(int(argmax[r, c, p, q]), width)
            if argmax[r, c, p, q] >= 0 and y <= y2 and x <= x2:
                grad[n, c, y, x] += grad_top[r, c, p, q]
    return top, argmax, grad


def random_rois(
    rng: np.random.Generator,
    count: int,
    shape: tuple[int, ...],
    scale: float = 1 / CELL,
) -> np.ndarray:
    """RoIs of every kind: inside, across the border, outside, reversed."""
    images, _, height, width = shape
    extent = np.array([width, height, width, height]) / scale
    corners = rng.uniform(-0.4, 1.4, (count, 4)) * extent
    ordered = rng.random(count) < 0.8
    corners[ordered] = np.concatenate(
        (
            np.minimum(corners[ordered, :2], corners[ordered, 2:]),
            np.maximum(corners[ordered, :2], corners[ordered, 2:]),
        ),
        axis=1,
    )
    corners[::3] = np.round(corners[::3] * scale * 2) / (2 * scale)  # halves
    image = rng.integers(images, size=(count, 1))
    return np.concatenate((image, corners), axis=1).astype(np.float32)


def check(
    maps: np.ndarray,
    rois: np.ndarray,
    size: tuple[int, int],
    scale: float,
    rng: np.random.Generator,
) -> None:
    """Compare values, arg-max and gradient with the reference."""
    grad_top = rng.normal(size=(len(rois), maps.shape[1], *size))
    grad_top = grad_top.astype(np.float32)
    top, argmax, grad = reference(maps, rois, size, scale, grad_top)
    features = torch.from_numpy(maps).requires_grad_()
    pooled, cells = roi_pool_with_argmax(
        features, torch.from_numpy(rois), size, scale
    )
    pooled.backward(torch.from_numpy(grad_top))
    assert features.grad is not None
    np.testing.assert_array_equal(pooled.detach().numpy(), top)
    np.testing.assert_array_equal(cells.numpy(), argmax)
    np.testing.assert_allclose(
        features.grad.numpy(), grad, rtol=1e-5, atol=1e-5
    )
    inference = roi_pool(
        features.detach(), torch.from_numpy(rois), size, scale
    )
    np.testing.assert_array_equal(inference.numpy(), top)


@pytest.mark.golden
def test_golden_roi_pooling(caffe_golden: Any) -> None:
    meta, groups = caffe_golden('layer_roi_pooling')
    assert meta
    for case, settings in meta.items():
        layer = MODELS.build(
            dict(
                type='mmxdistill.CaffeRoIPool',
                output_size=(settings['pooled_h'], settings['pooled_w']),
                spatial_scale=settings['spatial_scale'],
            )
        )
        arrays = {
            key: torch.from_numpy(value) for key, value in groups[case].items()
        }
        bottom = arrays['bottom'].requires_grad_()
        top = layer(bottom, arrays['rois'])
        top.backward(arrays['top_diff'])
        _, argmax = roi_pool_with_argmax(
            bottom, arrays['rois'], layer.output_size, layer.spatial_scale
        )
        expected = arrays['bottom_diff']
        error = (bottom.grad - expected).abs().max() / expected.abs().max()
        assert torch.equal(top, arrays['top']), case
        assert torch.equal(argmax, arrays['argmax'].long()), case
        assert error < 1e-5, case
        with torch.no_grad():
            assert torch.equal(layer(bottom, arrays['rois']), arrays['top'])


@pytest.mark.golden
def test_golden_unscaled_roi_pooling(caffe_golden: Any) -> None:
    meta, groups = caffe_golden('layer_sds')
    cases = [case for case in meta if case.startswith('roi_pooling')]
    assert cases
    for case in cases:
        size = meta[case]['pooled_h'], meta[case]['pooled_w']
        data = groups[case]
        pooled = CaffeRoIPool(size, 1.0)(
            torch.from_numpy(data['bottom']), torch.from_numpy(data['rois'])
        )
        np.testing.assert_array_equal(pooled.numpy(), data['top'])


@pytest.mark.parametrize(
    ('shape', 'size', 'scale'),
    [
        ((2, 3, 11, 14), (6, 6), 1 / 16),
        ((1, 2, 17, 9), (7, 7), 1 / 16),
        ((3, 1, 8, 13), (4, 9), 0.1),
        ((1, 5, 1, 20), (2, 3), 1.0),
        ((2, 2, 12, 1), (1, 1), 1 / 3),
    ],
)
@pytest.mark.parametrize('ties', [False, True])
def test_matches_definition(
    shape: tuple[int, ...],
    size: tuple[int, int],
    scale: float,
    ties: bool,
) -> None:
    rng = np.random.default_rng(sum(shape) + ties)
    maps = rng.normal(size=shape).astype(np.float32)
    if ties:
        maps = np.round(maps)  # also makes -0
    check(maps, random_rois(rng, 40, shape, scale), size, scale, rng)


def test_tiles_do_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 7, 9, 12)).astype(np.float32)
    rois = random_rois(rng, 23, maps.shape)
    monkeypatch.setattr(window_max, '_CPU_BYTES', (60_000, 900))
    check(maps, rois, (3, 5), 1 / CELL, rng)


def test_float32_bin_beyond_the_end_passes_no_gradient() -> None:
    # 57 cells in 7 bins: in float32 the last bin reaches a 58th cell.
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(1, 1, 3, 62)).astype(np.float32)
    maps[..., 59] = 9.0
    roi = np.array([[0, 2, 0, 58, 2]], np.float32)
    features = torch.from_numpy(maps).requires_grad_()
    pooled = roi_pool(features, torch.from_numpy(roi), 7, 1.0)
    pooled.sum().backward()
    assert features.grad is not None
    assert (pooled[..., -1] == 9.0).all()
    assert features.grad[..., 59].abs().sum() == 0
    assert features.grad.sum() == 42
    check(maps, roi, (7, 7), 1.0, rng)


def test_int32_ranks_of_a_large_map() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(1, 1, 180, 190)).astype(np.float32)
    rois = np.array([[0, 0, 0, 189, 179], [0, 185, 170, 230, 200]], np.float32)
    check(maps, rois, (2, 2), 1.0, rng)


def test_nan_and_minus_infinity_are_never_a_maximum() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(1, 2, 6, 6)).astype(np.float32)
    maps[0, 0, ::2] = np.nan
    maps[0, 0, :, 3:] = -np.inf
    maps[0, 1, 2:4] = np.inf
    rois = np.array([[0, 0, 0, 5, 5], [0, 3, 0, 5, 2]], np.float32)
    check(maps, rois, (3, 3), 1.0, rng)


def test_gradient_in_float64() -> None:
    torch.manual_seed(0)
    # Distinct values, far apart: the arg-max survives small steps.
    features = torch.randperm(2 * 2 * 5 * 6).double().view(2, 2, 5, 6)
    rois = torch.tensor(
        [[0, 0, 0, 80, 70], [1, 20, 10, 60, 60], [1, -40, 30, 200, 300.0]]
    )
    assert torch.autograd.gradcheck(
        lambda x: roi_pool(x, rois, (2, 3), 1 / CELL),
        features.requires_grad_(),
    )


def test_float64_distinguishes_what_float32_cannot() -> None:
    features = torch.ones(1, 1, 1, 4, dtype=torch.float64)
    features[..., 2] += 1e-12
    rois = torch.tensor([[0, 0, 0, 3, 0.0]])
    pooled, argmax = roi_pool_with_argmax(features, rois, 1, 1.0)
    assert pooled.item() == features.max().item()
    assert argmax.item() == 2


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_exact(dtype: torch.dtype) -> None:
    rng = np.random.default_rng(0)
    shape = (2, 3, 9, 12)
    rois = torch.from_numpy(random_rois(rng, 30, shape))
    half = torch.from_numpy(rng.normal(size=shape)).to(dtype)
    half.requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        pooled, argmax = roi_pool_with_argmax(half, rois, 4, 1 / CELL)
        pooled.float().sum().backward()
    expected, cells = roi_pool_with_argmax(full, rois, 4, 1 / CELL)
    expected.sum().backward()
    assert pooled.dtype == dtype
    assert torch.equal(pooled.float(), expected)
    assert torch.equal(argmax, cells)
    assert half.grad is not None and full.grad is not None
    assert torch.equal(half.grad, full.grad.to(dtype))
    with torch.no_grad():
        inference = roi_pool(half, rois, 4, 1 / CELL)
    assert torch.equal(inference, pooled)


@pytest.mark.parametrize('layout', ['channels_last', 'slice', 'expand'])
def test_non_contiguous_input(layout: str) -> None:
    rng = np.random.default_rng(0)
    dense = torch.from_numpy(rng.normal(size=(2, 4, 9, 12))).float()
    if layout == 'channels_last':
        features = dense.to(memory_format=torch.channels_last)
    elif layout == 'slice':
        features = dense[:, 1::2, ::2, 3:]
    else:
        features = dense[:1].expand(2, -1, -1, -1)
    rois = torch.from_numpy(random_rois(rng, 30, tuple(features.shape)))
    grads = []
    outputs = []
    for source in (features, features.contiguous()):
        source.requires_grad_()
        pooled = roi_pool(source, rois, (3, 4), 1 / CELL)
        weight = torch.arange(12.0).view(3, 4).expand_as(pooled)
        (grad,) = torch.autograd.grad(pooled, source, weight)
        grads.append(grad)
        outputs.append(pooled)
        with torch.no_grad():
            outputs.append(roi_pool(source, rois, (3, 4), 1 / CELL))
    assert torch.equal(*grads)
    assert all(torch.equal(outputs[0], other) for other in outputs[1:])
    assert outputs[0].is_contiguous()


def test_no_roi_keeps_the_graph() -> None:
    features = torch.randn(2, 3, 5, 5, requires_grad=True)
    pooled, argmax = roi_pool_with_argmax(
        features, torch.zeros(0, 5), (6, 7), 1 / CELL
    )
    pooled.sum().backward()
    assert pooled.shape == argmax.shape == (0, 3, 6, 7)
    assert features.grad is not None
    assert features.grad.abs().sum() == 0


def test_one_roi_of_the_whole_image() -> None:
    features = torch.randn(1, 8, 12, 18)
    roi = torch.tensor([[0, 0, 0, 17.0 * CELL, 11.0 * CELL]])
    pooled = roi_pool(features, roi, (3, 3), 1 / CELL)
    assert torch.equal(
        pooled, torch.nn.functional.max_pool2d(features, (4, 6))
    )


def test_rois_outside_give_zero_and_no_gradient() -> None:
    features = torch.randn(1, 2, 5, 6, requires_grad=True)
    rois = torch.tensor(
        [[0, 200, 0, 300, 50], [0, -99, -99, -20, -20], [0, 0, 1e9, 9, 3e38]]
    )
    pooled, argmax = roi_pool_with_argmax(features, rois, 3, 1 / CELL)
    pooled.sum().backward()
    assert features.grad is not None
    assert (pooled == 0).all() and (argmax == -1).all()
    assert (features.grad == 0).all()


def test_gradient_does_not_depend_on_threads() -> None:
    rng = np.random.default_rng(0)
    shape = (2, 16, 30, 40)
    rois = torch.from_numpy(random_rois(rng, 300, shape))
    features = torch.randn(shape, requires_grad=True)
    weight = torch.randn(300, 16, 6, 6)
    threads = torch.get_num_threads()
    grads = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            pooled = roi_pool(features, rois, 6, 1 / CELL)
            grads += torch.autograd.grad(pooled, features, weight)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*grads)


@pytest.mark.parametrize(
    'roi',
    [
        [2.0, 0, 0, 9, 9],
        [-1.0, 0, 0, 9, 9],
        [0.5, 0, 0, 9, 9],
        [1.0, 0, float('nan'), 9, 9],
        [1.0, 0, 0, float('inf'), 9],
    ],
)
def test_bad_roi_is_named(roi: list[float]) -> None:
    rois = torch.tensor([[1, 0, 0, 9, 9], roi, roi])
    with pytest.raises(ValueError, match=r'RoI 1 is .*index of 0 to 1 for 2'):
        roi_pool(torch.zeros(2, 1, 4, 4), rois, 2, 1 / CELL)


@pytest.mark.parametrize(
    ('features', 'rois', 'message'),
    [
        (torch.zeros(1, 4, 4), torch.zeros(1, 5), 'N, C, H, W'),
        (torch.zeros(1, 2, 0, 4), torch.zeros(1, 5), 'non-empty'),
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 4), r'rois must be \(R, 5'),
        (torch.zeros(1, 2, 4, 4), torch.zeros(5), r'rois must be \(R, 5'),
        (torch.zeros(1, 2, 4, 4), torch.zeros(1, 5, device='meta'), 'meta'),
    ],
)
def test_bad_tensors(features: Tensor, rois: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roi_pool(features, rois, 2, 1 / CELL)


def test_integer_features_are_refused() -> None:
    with pytest.raises(TypeError, match=r'torch\.uint8'):
        roi_pool(
            torch.zeros(1, 1, 4, 4, dtype=torch.uint8),
            torch.zeros(1, 5),
            2,
            1.0,
        )


@pytest.mark.parametrize(
    ('size', 'scale', 'message'),
    [
        (0, 0.5, 'output_size'),
        ((3, 2.5), 0.5, 'output_size'),
        (3, 0.0, 'spatial_scale'),
        (3, float('nan'), 'spatial_scale'),
    ],
)
def test_bad_settings(size: Any, scale: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaffeRoIPool(size, scale)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.float32, torch.float64]
)
@pytest.mark.parametrize('ties', [False, True])
def test_cuda_equals_cpu(dtype: torch.dtype, ties: bool) -> None:
    rng = np.random.default_rng(int(ties))
    shape = (2, 32, 43, 60)
    rois = torch.from_numpy(random_rois(rng, 500, shape))
    values = torch.from_numpy(rng.normal(size=shape)).to(dtype)
    values = values.round() if ties else values
    weight = torch.randn(500, 32, 7, 7, dtype=dtype)
    results = []
    for device in ('cpu', 'cuda'):
        features = values.to(device).requires_grad_()
        pooled, argmax = roi_pool_with_argmax(
            features, rois.to(device), 7, 1 / CELL
        )
        (grad,) = torch.autograd.grad(pooled, features, weight.to(device))
        with torch.no_grad():
            inference = roi_pool(features, rois.to(device), 7, 1 / CELL)
        assert torch.equal(inference, pooled)
        results.append((pooled.cpu(), argmax.cpu(), grad.cpu()))
    for cpu, cuda in zip(results[0][:2], results[1][:2], strict=True):
        assert torch.equal(cpu, cuda)
    tolerance = 1e-2 if dtype == torch.float16 else 1e-5
    torch.testing.assert_close(
        results[1][2], results[0][2], rtol=tolerance, atol=tolerance
    )
