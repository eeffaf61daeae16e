"""HHA of batches is that of single frames, to the pixel."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mmxdistill.encodings import (
    PinholeCamera,
    encode_hha,
    encode_hha_with_diagnostics,
)
from mmxdistill.encodings.batch import HHAEncoder

Room = Callable[..., tuple[np.ndarray, np.ndarray]]
DEVICES = [
    'cpu',
    pytest.param(
        'cuda',
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason='needs a GPU'
        ),
    ),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return request.param


def tensor(array: np.ndarray, device: str = 'cpu') -> torch.Tensor:
    return torch.from_numpy(array.astype(np.int32)).to(device)


def image(hha: torch.Tensor) -> np.ndarray:
    """As `encode_hha` gives it."""
    return hha.permute(1, 2, 0).cpu().numpy()


def assert_same(found: torch.Tensor, expected: np.ndarray) -> None:
    """Identical on the CPU; elsewhere the tolerance of the goldens."""
    if found.device.type == 'cpu':
        np.testing.assert_array_equal(image(found), expected)
    assert_close_to_golden(found, expected)


def assert_close_to_golden(found: torch.Tensor, expected: np.ndarray) -> None:
    """At most 5 pixels of a channel are a level off."""
    assert found.dtype == torch.uint8
    difference = np.abs(image(found).astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference, axis=(0, 1)).max() <= 5


def odd_frames(
    render_room: Room, camera: PinholeCamera
) -> list[tuple[np.ndarray, np.ndarray, PinholeCamera]]:
    """Depth, raw depth and camera, of different sizes and all difficult."""
    rng = np.random.default_rng(0)
    room, _ = render_room(20, 5)
    holes = np.where(rng.random(room.shape) < 0.6, room, 0)
    row, line, pixel, none = (np.zeros_like(room) for _ in range(4))
    row[60] = room[60]
    line[30:51, 40] = 1
    pixel[0, 0] = 1
    unfilled = np.where(rng.random(room.shape) < 0.9, room, 0)
    unfilled[30:80, 20:60] = 0
    small = rng.integers(1500, 1600, (5, 6)).astype(np.uint16)
    frames = [
        (room, room, camera),
        (room, holes, camera),
        (room, row, camera),
        (room, line, camera),
        (room, pixel, camera),
        (room, none, camera),
        (none, none, camera),
        (unfilled, unfilled, camera),
        (np.full_like(room, 2000), room, camera),  # gravity undetermined
        (np.full_like(room, 65535), room, camera),
        (render_room(60)[0], room, camera),  # ends at a wrong axis
        (render_room()[0], room, camera),  # gravity is y
        (room[30:, 40:131], holes[30:, 40:131], camera.crop(40, 30, 91, 90)),
        (small, small, PinholeCamera(50.0, 50.0, 3.0, 3.0, 6, 5)),
        (small[:1], small[:1], PinholeCamera(50.0, 50.0, 3.0, 1.0, 6, 1)),
    ]
    return [frames[i] for i in rng.permutation(len(frames))]


def test_batch_of_odd_frames_is_the_frames(
    render_room: Room, camera: PinholeCamera, device: str
) -> None:
    frames = odd_frames(render_room, camera)
    found, gravity = HHAEncoder().encode_with_gravity(
        [tensor(depth, device) for depth, _, _ in frames],
        [tensor(raw, device) for _, raw, _ in frames],
        [camera for _, _, camera in frames],
    )
    for i, (depth, raw, of_frame) in enumerate(frames):
        expected, report = encode_hha_with_diagnostics(depth, of_frame, raw)
        assert_same(found[i], expected)
        estimate = gravity.gravity[i].cpu().numpy()
        np.testing.assert_allclose(estimate, report.gravity, atol=1e-9)
        gap = float(gravity.eigen_gap[i])
        assert gap == pytest.approx(report.eigen_gap, abs=1e-9)


def test_batch_is_its_single_frames_bit_by_bit(
    render_room: Room, camera: PinholeCamera, device: str
) -> None:
    depth = torch.stack(
        [tensor(render_room(p, 3)[0], device) for p in (0, 10, -20)]
    )
    encoder = HHAEncoder(camera)
    whole, gravity = encoder.encode_with_gravity(depth)
    again, _ = encoder.encode_with_gravity(depth)
    assert torch.equal(whole, again)
    for i in range(len(depth)):
        single, alone = encoder.encode_with_gravity(depth[i : i + 1])
        assert torch.equal(single[0], whole[i])
        torch.testing.assert_close(
            alone.gravity[0], gravity.gravity[i], rtol=0, atol=1e-12
        )


@pytest.mark.golden
def test_golden_frame(golden_frame: SimpleNamespace, device: str) -> None:
    depth, raw = tensor(golden_frame.depth), tensor(golden_frame.raw)
    found, gravity = HHAEncoder(golden_frame.camera).encode_with_gravity(
        torch.stack((depth, depth)).to(device),
        torch.stack((raw, depth)).to(device),
    )
    expected = golden_frame.arrays('golden')
    np.testing.assert_allclose(
        gravity.gravity[0].cpu(), expected['yDir'], atol=1e-7
    )
    without = expected['empty10'] | expected['degenerate10']
    assert int(gravity.num_normals[0]) == np.count_nonzero(~without)
    frame = golden_frame.depth, golden_frame.camera
    assert_same(found[0], encode_hha(*frame, golden_frame.raw))
    assert_same(found[1], encode_hha(*frame))
    assert_close_to_golden(found[0], golden_frame.image('hha'))
    assert_close_to_golden(found[1], golden_frame.image('hha_nomask'))


@pytest.mark.golden
def test_golden_synthetic(
    golden_synthetic: SimpleNamespace, device: str
) -> None:
    case = golden_synthetic
    hha = HHAEncoder(case.camera)(
        tensor(case.depth, device)[None], tensor(case.raw, device)[None]
    )
    assert_same(hha[0], encode_hha(case.depth, case.camera, case.raw))
    if case.ill_posed:  # gravity is arbitrary in the original
        return
    if case.name == 'zero_depth_marked_valid':
        case.expected = case.masked
    assert_close_to_golden(hha[0], case.expected)


@pytest.mark.parametrize('known', [False, True])
def test_gravity_of_each_frame(
    render_room: Room, camera: PinholeCamera, known: bool
) -> None:
    rooms = [render_room(60), render_room(10, 180), render_room(0, 90)]
    depth = torch.stack([tensor(room) for room, _ in rooms])
    truth = np.stack([gravity for _, gravity in rooms])
    key = 'gravity' if known else 'initial_gravity'
    found = HHAEncoder(camera)(depth, **{key: 2 * truth})
    for hha, (room, gravity) in zip(found, rooms, strict=True):
        assert_same(hha, encode_hha(room, camera, **{key: gravity}))


@pytest.mark.parametrize(
    'dtype', [torch.int16, torch.int64, torch.float32, torch.float64]
)
def test_any_dtype_and_layout_and_no_write(
    render_room: Room, camera: PinholeCamera, dtype: torch.dtype
) -> None:
    room, _ = render_room(20, 5)
    measured = np.random.default_rng(0).random(room.shape) < 0.7
    expected = encode_hha(room, camera, measured)
    depth = torch.stack((tensor(room), tensor(room)), dim=-1).to(dtype)
    mask = torch.from_numpy(measured)
    before = depth.clone()
    layout = depth.permute(2, 0, 1)
    found = HHAEncoder(camera)(layout, mask.expand(2, -1, -1))
    for hha in found:
        assert_same(hha, expected)
    assert torch.equal(depth, before)


def test_uint16(camera: PinholeCamera) -> None:
    if not hasattr(torch, 'uint16'):
        pytest.skip('this PyTorch has no uint16')
    depth = np.full((120, 160), 40000, np.uint16)
    found = HHAEncoder(camera)(torch.from_numpy(depth)[None])
    assert_same(found[0], encode_hha(depth, camera))


def test_fractions_are_rounded_half_up(camera: PinholeCamera) -> None:
    depth = torch.full((2, 120, 160), 4959.5)
    depth[1] = 4959.49
    disparity = HHAEncoder(camera)(depth)[:, 2, 0, 0]
    assert disparity.tolist() == [63, int(31000 / 495.9 + 0.5)]


def test_same_result_for_any_number_of_threads(
    render_room: Room, camera: PinholeCamera
) -> None:
    depth = tensor(render_room(20, 5)[0])[None]
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 4):
            torch.set_num_threads(number)
            results.append(HHAEncoder(camera)(depth))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_wide_image() -> None:
    """The sums of the mask exceed 32 bits."""
    rng = np.random.default_rng(0)
    depth = rng.integers(2000, 2100, (40, 4600)).astype(np.uint16)
    camera = PinholeCamera(900.0, 900.0, 2300.0, 20.0)
    raw = rng.random(depth.shape) < 0.98
    found = HHAEncoder(camera)(tensor(depth)[None], tensor(raw)[None])
    assert_same(found[0], encode_hha(depth, camera, raw))


GOOD = torch.full((2, 120, 160), 2000)


def changed(value: float) -> torch.Tensor:
    """The second frame of two has a wrong pixel."""
    frames = GOOD.double()
    frames[1, 5, 6] = value
    return frames


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(depth_mm=GOOD / 1000.0), r'depth_mm\[0\] .*metres.*by 1000'),
        (dict(depth_mm=GOOD * 1000), r'depth_mm\[0\] .*divide by 1000'),
        (dict(depth_mm=changed(np.nan)), r'depth_mm\[1\] has 1 NaN'),
        (dict(depth_mm=changed(np.inf)), r'depth_mm\[1\] has 1 NaN'),
        (dict(depth_mm=changed(-3)), r'depth_mm\[1\] .*smallest -3'),
        (dict(depth_mm=GOOD.to(torch.uint8)), r'depth_mm\[0\] .*uint8'),
        (dict(depth_mm=GOOD > 0), r'depth_mm\[0\] .*bool'),
        (dict(depth_mm=GOOD * 1j), r'depth_mm\[0\] .*complex'),
        (dict(depth_mm=GOOD[None]), r'depth_mm\[0\] .*\(2, 120, 160\)'),
        (dict(depth_mm=[]), 'at least one; found 0'),
        (
            dict(depth_mm=[GOOD[0], GOOD[0, :0]]),
            r'depth_mm\[1\] .*\(0, 160\)',
        ),
        (
            dict(raw_depth_mm=[GOOD[0], GOOD[0].T]),
            r'raw_depth_mm\[1\] .*\(120, 160\).*\(160, 120\)',
        ),
        (dict(raw_depth_mm=GOOD[:1]), 'found 2 and 1'),
        (dict(raw_depth_mm=changed(np.nan)), r'raw_depth_mm\[1\] has 1 NaN'),
        (dict(raw_depth_mm=changed(-1)), r'raw_depth_mm\[1\] .*negative'),
        (dict(cameras=['kitchen', 'kitchen']), '640x480.*160x120'),
        (dict(cameras=['kitchen']), '2 frames .* found 1'),
        (dict(gravity=[[0, 1, 0]] * 3), r'2 frames.*\(3, 3\)'),
        (dict(gravity=(0, 0, 0)), 'gravity .*non-zero'),
        (dict(initial_gravity=(0, np.nan, 0)), 'initial_gravity .*finite'),
        (dict(gravity=(0, 1, 0), initial_gravity=(0, 1, 0)), 'not both'),
    ],
)
def test_bad_input_is_named(
    camera: PinholeCamera, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        HHAEncoder(camera)(**{'depth_mm': GOOD, **arguments})


def test_camera_is_needed() -> None:
    with pytest.raises(ValueError, match=r'HHAEncoder\(camera=...\)'):
        HHAEncoder()(GOOD)


def test_nothing_is_saved_or_trained(camera: PinholeCamera) -> None:
    encoder = HHAEncoder(camera)
    assert not encoder.state_dict()
    assert not list(encoder.parameters())
