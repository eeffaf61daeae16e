import builtins
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from mmxdistill.encodings import (
    FLOW_METHODS,
    compute_flow,
    flip_flow,
    flow_raft,
    read_flow,
)

OPENCV = [method for method in FLOW_METHODS if method != 'raft']
# Largest mean and median end-point error on a Middlebury pair, pixels: what
# was measured (docs/results/flow.md) and about a fifth.
ERRORS = {'dis': (0.30, 0.15), 'farneback': (1.0, 0.8)}


def texture(height: int, width: int) -> np.ndarray:
    """A smooth random frame."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(height // 4 + 2, width // 4 + 2))
    frame = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    frame = cv2.normalize(frame, None, 0, 255, cv2.NORM_MINMAX)
    return frame.astype(np.uint8)


def moved(dx: int, dy: int) -> tuple[np.ndarray, np.ndarray]:
    """Two frames; the second is the first, moved by (dx, dy)."""
    whole = texture(100, 124)
    return whole[10:90, 10:114], whole[10 - dy : 90 - dy, 10 - dx : 114 - dx]


@pytest.mark.parametrize('method', OPENCV)
@pytest.mark.parametrize('step', [(3, 0), (0, -2), (-2, 3)])
def test_known_translation(method: str, step: tuple[int, int]) -> None:
    flow = compute_flow(*moved(*step), method)
    assert flow.shape == (80, 104, 2)
    assert flow.dtype == np.float32
    # What leaves the image has no counterpart.
    inner = flow[12:-12, 12:-12]
    np.testing.assert_allclose(np.median(inner, (0, 1)), step, atol=0.05)
    assert np.abs(inner - step).mean() < 0.05


@pytest.mark.parametrize('method', OPENCV)
@pytest.mark.parametrize('width', [104, 103, 97])
def test_flow_of_the_mirrored_pair_is_the_mirrored_flow(
    method: str, width: int
) -> None:
    first, second = (frame[:, :width] for frame in moved(3, 1))
    flow = compute_flow(first, second, method)
    mirrored = compute_flow(first[:, ::-1], second[:, ::-1], method)
    np.testing.assert_array_equal(mirrored, flip_flow(flow))


@pytest.mark.parametrize('method', OPENCV)
def test_symmetric_is_the_average(method: str) -> None:
    first, second = moved(3, 1)
    one = compute_flow(first, second, method, symmetric=False)
    other = flip_flow(
        compute_flow(first[:, ::-1], second[:, ::-1], method, symmetric=False)
    )
    np.testing.assert_allclose(
        compute_flow(first, second, method), (one + other) / 2, atol=1e-5
    )


@pytest.mark.parametrize('method', OPENCV)
def test_deterministic_for_any_number_of_threads(method: str) -> None:
    first, second = moved(3, 1)
    threads = cv2.getNumThreads()
    flows = []
    try:
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            flows.append(compute_flow(first, second, method))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(flows[0], flows[1])
    np.testing.assert_array_equal(flows[0], flows[2])


@pytest.mark.parametrize('method', OPENCV)
def test_colour_any_layout_and_inputs_kept(method: str) -> None:
    grey = moved(2, 1)
    expected = compute_flow(*grey, method)
    colour = [np.asfortranarray(np.dstack([g, g, g])) for g in grey]
    before = [frame.copy() for frame in colour]
    for frame in colour:
        frame.flags.writeable = False
    flow = compute_flow(*colour, method)
    np.testing.assert_array_equal(flow, expected)
    for frame, kept in zip(colour, before, strict=True):
        np.testing.assert_array_equal(frame, kept)
    np.testing.assert_array_equal(
        compute_flow(grey[0], colour[1], method), expected
    )


def test_no_motion() -> None:
    frame = texture(40, 50)
    np.testing.assert_array_equal(compute_flow(frame, frame), 0)
    farneback = compute_flow(frame, frame, 'farneback')
    np.testing.assert_allclose(farneback, 0, atol=0.1)


@pytest.mark.parametrize('shape', [(16, 16), (16, 200), (200, 16), (17, 33)])
def test_smallest_frames_of_dis(shape: tuple[int, int]) -> None:
    frame = texture(*shape)
    assert np.isfinite(compute_flow(frame, frame)).all()


@pytest.mark.parametrize('shape', [(15, 100), (100, 15), (1, 1)])
def test_too_small_for_dis(shape: tuple[int, int]) -> None:
    frame = np.zeros(shape, np.uint8)
    found = f'{shape[1]}x{shape[0]}'
    with pytest.raises(ValueError, match=f'16 x 16 pixels, found {found}'):
        compute_flow(frame, frame)
    assert compute_flow(frame, frame, 'farneback').shape == (*shape, 2)


FRAME = np.zeros((20, 30), np.uint8)


@pytest.mark.parametrize(
    ('first', 'second', 'message'),
    [
        (FRAME, FRAME[:19], 'first is 30x20, second 30x19'),
        (FRAME.astype(float), FRAME, 'first frame must be a uint8.*float64'),
        (FRAME, FRAME[..., None], r'second frame .*\(20, 30, 1\)'),
        (FRAME, np.zeros((20, 30, 4), np.uint8), r'\(20, 30, 4\)'),
        (FRAME[:0], FRAME[:0], r'\(0, 30\)'),
    ],
)
def test_bad_frames(first: Any, second: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute_flow(first, second)


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="one of dis, farneback, raft.*'tvl"):
        compute_flow(FRAME, FRAME, 'tvl1')


class TestMiddlebury:
    @staticmethod
    def pairs(data: Path) -> Iterator[tuple[np.ndarray, ...]]:
        found = sorted(data.glob('middlebury_flow/*/flow10.flo'))
        if not found:
            pytest.skip(f'{data} has no middlebury_flow')
        for path in found:
            frames = [
                cv2.imread(str(path.with_name(f'frame{number}.png')))
                for number in (10, 11)
            ]
            yield *frames, read_flow(path)

    @pytest.mark.parametrize('method', OPENCV)
    def test_end_point_error(self, data: Path, method: str) -> None:
        for first, second, truth in self.pairs(data):
            known = ~np.isnan(truth).any(axis=2)
            vectors = (compute_flow(first, second, method) - truth)[known]
            error = np.hypot(*vectors.T)
            assert error.mean() < ERRORS[method][0]
            assert np.median(error) < ERRORS[method][1]

    @pytest.mark.parametrize('method', OPENCV)
    def test_mirrored_pairs(self, data: Path, method: str) -> None:
        for first, second, _ in self.pairs(data):
            flow = compute_flow(first, second, method)
            mirrored = compute_flow(first[:, ::-1], second[:, ::-1], method)
            np.testing.assert_array_equal(mirrored, flip_flow(flow))

    def test_dis_alone_is_nearly_symmetric(self, data: Path) -> None:
        for pair in self.pairs(data):
            first, second = pair[:2]
            flow = compute_flow(first, second, symmetric=False)
            mirrored = compute_flow(
                first[:, ::-1], second[:, ::-1], symmetric=False
            )
            vectors = (flip_flow(mirrored) - flow).reshape(-1, 2)
            difference = np.hypot(*vectors.T)
            assert 0 < difference.mean() < 0.05
            assert np.percentile(difference, 99) < 0.5


@pytest.fixture
def torchvision(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Callable], None]]:
    """Put a stand-in for torchvision, whose RAFT is the given function."""
    flow_raft._network.cache_clear()

    def install(raft_large: Callable) -> None:
        models = ModuleType('torchvision.models')
        optical_flow: Any = ModuleType('torchvision.models.optical_flow')
        optical_flow.raft_large = raft_large

        class Weights:
            class DEFAULT:
                url = 'https://example.org/raft.pth'

        optical_flow.Raft_Large_Weights = Weights
        models.optical_flow = optical_flow  # type: ignore[attr-defined]
        for name, module in (
            ('torchvision', ModuleType('torchvision')),
            ('torchvision.models', models),
            ('torchvision.models.optical_flow', optical_flow),
        ):
            monkeypatch.setitem(sys.modules, name, module)

    yield install
    flow_raft._network.cache_clear()


class BrightnessFlow(torch.nn.Module):
    """Red of the first frame as x and blue of the second as y."""

    shapes: list[tuple[int, ...]] = []

    def __init__(self, weights: object) -> None:
        super().__init__()

    def forward(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> list[torch.Tensor]:
        assert not self.training
        self.shapes.append(tuple(first.shape))
        last = torch.stack([first[:, 0], second[:, 2]], 1)
        return [last * 0, last]


@pytest.mark.parametrize('shape', [(128, 136), (50, 131), (1, 1)])
def test_raft_sees_padded_rgb(
    torchvision: Callable, shape: tuple[int, int]
) -> None:
    torchvision(BrightnessFlow)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, *shape, 3), np.uint8)
    flow = compute_flow(first, second, 'raft', symmetric=False)
    expected = np.stack([first[..., 2], second[..., 0]], 2) / 127.5 - 1
    np.testing.assert_allclose(flow, expected, atol=1e-6)
    assert flow.dtype == np.float32
    _, channels, height, width = BrightnessFlow.shapes[-1]
    assert channels == 3
    for side, padded in zip(shape, (height, width), strict=True):
        assert padded % 8 == 0
        assert padded == max(128, side + -side % 8)
    grey = compute_flow(first[..., 0], second[..., 0], 'raft', symmetric=False)
    np.testing.assert_allclose(grey[..., 1], flow[..., 1], atol=1e-6)


def test_raft_is_made_symmetric(torchvision: Callable) -> None:
    torchvision(BrightnessFlow)
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 256, (2, 30, 37, 3), np.uint8)
    flow = compute_flow(first, second, 'raft')
    mirrored = compute_flow(first[:, ::-1], second[:, ::-1], 'raft')
    np.testing.assert_array_equal(mirrored, flip_flow(flow))


def test_raft_without_torchvision(
    monkeypatch: pytest.MonkeyPatch, torchvision: Callable
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith('torchvision'):
            raise ImportError('no torchvision')
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)
    with pytest.raises(ImportError, match=r"pip install torch.*'dis'"):
        compute_flow(FRAME, FRAME, 'raft')


def test_raft_without_weights(torchvision: Callable) -> None:
    def offline(weights: object) -> None:
        raise OSError('no route')

    torchvision(offline)
    with pytest.raises(OSError, match=r'no route.*raft\.pth.*checkpoints'):
        compute_flow(FRAME, FRAME, 'raft')
