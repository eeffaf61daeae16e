"""Golden cases, real frames and rendered rooms for the encoding tests."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmxdistill.encodings import PinholeCamera

DATA = os.environ.get('MMXDISTILL_DATA')
NO_DATA = 'set MMXDISTILL_DATA to the folder of the test data'


def golden_frames() -> list[Path]:
    return sorted(Path(DATA).glob('hha_golden_*/meta.json')) if DATA else []


def synthetic_names() -> list[str]:
    path = Path(DATA or '', 'hha_synth', 'cases.npz')
    if not DATA or not path.exists():
        return []
    with np.load(path) as cases:
        return [str(name) for name in cases['names']]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sources = {
        'golden_frame': lambda: [path.parent for path in golden_frames()],
        'golden_synthetic': synthetic_names,
    }
    for fixture, find in sources.items():
        if fixture in metafunc.fixturenames:
            cases = find() or [
                pytest.param(None, marks=pytest.mark.skip(reason=NO_DATA))
            ]
            metafunc.parametrize(
                fixture,
                cases,
                indirect=True,
                ids=lambda case: getattr(case, 'name', str(case)),
            )


@pytest.fixture
def golden_frame(request: pytest.FixtureRequest) -> SimpleNamespace:
    """One ``hha_golden_*`` folder; optional files skip the test."""
    folder = request.param
    meta = json.loads((folder / 'meta.json').read_text())

    def find(name: str) -> str:
        if not (folder / name).exists():
            pytest.skip(f'{folder.name} has no {name}')
        return str(folder / name)

    def image(stem: str) -> np.ndarray:
        return cv2.imread(find(f'{stem}.png'), cv2.IMREAD_UNCHANGED)

    depth = image('depth') // meta['depth_png_units_per_mm']
    (fx, _, cx), (_, fy, cy), _ = meta['camera']
    return SimpleNamespace(
        camera=PinholeCamera(fx, fy, cx, cy, *depth.shape[::-1]),
        depth=depth,
        raw=image('rawdepth'),
        image=image,
        arrays=lambda stem: np.load(find(f'{stem}.npz')),
    )


@pytest.fixture
def golden_synthetic(request: pytest.FixtureRequest) -> SimpleNamespace:
    """One case of ``hha_synth``; HHA in the channel order of the encoder."""
    with np.load(Path(DATA or '', 'hha_synth', 'cases.npz')) as cases:
        name = request.param
        case = {
            key.split('/')[1]: cases[key]
            for key in cases.files
            if key.startswith(f'{name}/')
        }
        return SimpleNamespace(
            name=name,
            camera=cases['camera'],
            ill_posed=name in cases['ill_posed'],
            expected=case['hha'][..., ::-1],
            masked=cases['zero_depth_masked/hha'][..., ::-1],
            **{key: case[key] for key in ('depth', 'raw', 'yDir')},
        )


@pytest.fixture(params=['numpy', 'numba'])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == 'numba':
        pytest.importorskip('numba', exc_type=ImportError)
    return request.param


@pytest.fixture(scope='session')
def data() -> Path:
    if not DATA:
        pytest.skip(NO_DATA)
    return Path(DATA)


@pytest.fixture(scope='session')
def camera() -> PinholeCamera:
    return PinholeCamera(130.0, 128.0, 82.3, 60.9, 160, 120)


def rotation(pitch: float, roll: float) -> np.ndarray:
    """Camera axes to level axes, angles in degrees."""
    p, r = np.radians((pitch, roll))
    pitched = np.array(
        [[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]]
    )
    rolled = np.array(
        [[np.cos(r), np.sin(r), 0], [-np.sin(r), np.cos(r), 0], [0, 0, 1]]
    )
    return pitched @ rolled


@pytest.fixture(scope='session')
def render_room(
    camera: PinholeCamera,
) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Depth (uint16 mm) of a box room and gravity in camera axes.

    The camera hangs ``below`` cm above the floor and ``above`` cm below the
    ceiling, between two side walls, ``far`` cm from the wall ahead.
    """

    def render(
        pitch: float = 0.0,
        roll: float = 0.0,
        *,
        below: float = 140.0,
        above: float = 110.0,
        side: float = 180.0,
        far: float = 400.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        u, v = camera.ray_slopes(120, 160)
        rays = np.stack(np.broadcast_arrays(u, v[:, None], 1.0), axis=-1)
        to_level = rotation(pitch, roll)
        x, y, z = np.moveaxis(rays @ to_level.T, -1, 0)
        with np.errstate(divide='ignore'):
            reach = [
                np.where(y > 0, below / y, -above / y),
                side / np.abs(x),
                np.where(z > 0, far / z, np.inf),
            ]
        depth = np.min(reach, axis=0) * 10
        return np.floor(depth + 0.5).astype(np.uint16), to_level[1]

    return render
