"""HHA and disparity images of folders of depth."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from converters import TOOLS, runner

from mmxdistill.converters.depth import print_odd
from mmxdistill.datasets.transforms import FillDepth
from mmxdistill.encodings import (
    HHADiagnostics,
    encode_disparity,
    encode_hha,
)

CAMERA = dict(fx=60.0, fy=60.0, cx=32.5, cy=24.5)
Run = Callable[..., int | str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the tool in this process; returns its exit status."""
    monkeypatch.chdir(tmp_path)
    Path('camera.json').write_text(json.dumps(CAMERA))
    main = runner('encode_depth', monkeypatch)

    def call(*args: Any, camera: str | None = 'camera.json') -> int | str:
        return main(*args, *(['--camera', camera] if camera else []))

    return call


def floor(seed: int = 0) -> np.ndarray:
    """A floor and a wall, with noise."""
    rows = np.arange(48)[:, None] - 23.5 + np.zeros((1, 64))
    depth = np.minimum(4000, 500 * 60 / np.maximum(rows, 1))
    depth += np.random.default_rng(seed).uniform(0, 9, depth.shape)
    return depth.astype(np.uint16)


def holes(depth: np.ndarray) -> np.ndarray:
    raw = depth.copy()
    raw[10:20, 5:30] = 0
    return raw


def save(path: Path | str, depth: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    if Path(path).suffix == '.npy':
        np.save(path, depth)
    else:
        assert cv2.imwrite(str(path), depth)


def image(path: Path | str) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_folder(run: Run, tmp_path: Path) -> None:
    names = ['a.png', 'x/b.tiff', 'x/y/c.npy', 'x/y/d.tif']
    for i, name in enumerate(names):
        save(f'in/{name}', floor(i))
    save('in/color.jpg', np.zeros((9, 9, 3), np.uint8))  # not depth
    assert run('in', 'out') == 0
    for i, name in enumerate(names):
        found = image(Path('out', name).with_suffix('.png'))
        np.testing.assert_array_equal(found, encode_hha(floor(i), CAMERA))
    assert len([*tmp_path.glob('out/**/*.png')]) == len(names)


@pytest.mark.parametrize('pattern', ['in/*/rgbd/*.png', 'in/**/0.png'])
def test_pattern(run: Run, pattern: str) -> None:
    for scene in 'ab':
        save(f'in/{scene}/rgbd/0.png', floor())
        save(f'in/{scene}/1.tif', floor())
    assert run(pattern, 'out') == 0
    found = sorted(path.as_posix() for path in Path('out').rglob('*.png'))
    assert found == ['out/a/rgbd/0.png', 'out/b/rgbd/0.png']


def test_list(run: Run) -> None:
    for name in 'abc':
        save(f'in/x/{name}.png', floor())
    Path('list.txt').write_text('# files\nx/a.png 1\nx/c.png 2\n')
    assert run('list.txt', 'out', '--root', 'in') == 0
    assert {path.name for path in Path('out/x').iterdir()} == {
        'a.png',
        'c.png',
    }


def test_raw_depth(run: Run) -> None:
    depth = floor()
    save('in/a.png', depth)
    save('raw/a.png', holes(depth))
    assert run('in', 'out', '--raw', 'raw') == 0
    expected = encode_hha(depth, CAMERA, holes(depth))
    np.testing.assert_array_equal(image('out/a.png'), expected)
    assert (expected != encode_hha(depth, CAMERA)).any()


def test_fill(run: Run) -> None:
    raw = holes(floor())
    save('in/a.png', raw)
    assert run('in', 'out', '--fill') == 0
    filled = FillDepth()(dict(img=raw.copy()))['img']
    expected = encode_hha(filled, CAMERA, raw)
    np.testing.assert_array_equal(image('out/a.png'), expected)


@pytest.mark.parametrize(
    ('name', 'stored', 'options'),
    [
        ('a.npy', lambda d: d / 1000.0, ['--unit', 1000]),
        ('a.npy', lambda d: d.astype(np.int64), []),
        ('a.png', lambda d: 5 * d, ['--unit', 0.2]),
        ('a.png', lambda d: (d << 3) | (d >> 13), ['--rotated-bits']),
    ],
)
def test_units(
    run: Run,
    name: str,
    stored: Callable[[np.ndarray], np.ndarray],
    options: list,
) -> None:
    save(f'in/{name}', stored(floor()))
    assert run('in', 'out', *options) == 0
    np.testing.assert_array_equal(
        image('out/a.png'), encode_hha(floor(), CAMERA)
    )


def test_disparity_needs_no_camera(run: Run) -> None:
    save('in/a.png', floor())
    assert run('in', 'out', '--encoding', 'disparity', camera=None) == 0
    np.testing.assert_array_equal(
        image('out/a.png'), encode_disparity(floor())
    )


def test_preset(run: Run) -> None:
    depth = np.full((480, 640), 2000, np.uint16)
    save('in/a.png', depth)
    assert run('in', 'out', camera='kitchen') == 0
    np.testing.assert_array_equal(
        image('out/a.png'), encode_hha(depth, 'kitchen')
    )


def test_a_run_goes_on_where_it_was(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    for i in range(5):
        save(f'in/{i}.png', floor(i))
    assert run('in', 'out', '--shard', '2/3') == 0
    assert '2 written, 0 already there, 0 failed' in capsys.readouterr().out
    kept = Path('out/1.png')
    kept.write_bytes(b'kept')
    assert run('in', 'out') == 0
    assert '3 written, 2 already there' in capsys.readouterr().out
    assert kept.read_bytes() == b'kept'
    # Only complete files have their final name.
    Path('out/.3.png.123.tmp').write_bytes(b'half a file')
    assert run('in', 'out') == 0
    assert '0 written, 5 already there' in capsys.readouterr().out
    assert run('in', 'out', '--overwrite') == 0
    assert '5 written, 0 already there' in capsys.readouterr().out
    assert kept.read_bytes() != b'kept'


def test_bad_files_do_not_stop_the_others(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    good = floor()
    save('in/good.png', good)
    save('raw/good.png', good)
    bad = dict(
        eight=(good // 256).astype(np.uint8),
        colour=np.dstack([good] * 3),
        nothing=np.zeros_like(good),
        large=np.vstack([good, good]),
        lonely=good,
        metres=good // 1000,
    )
    for name, depth in bad.items():
        save(f'in/{name}.png', depth)
        if name != 'lonely':
            save(f'raw/{name}.png', good)
    for name, depth in dict(
        nan=np.where(good > 3000, np.nan, good),
        negative=-good.astype(int),
        huge=good * 1000.0,
        text=np.array([['a']]),
    ).items():
        save(f'in/{name}.npy', depth)
        save(f'raw/{name}.npy', good)
    Path('in/broken.png').write_bytes(Path('in/good.png').read_bytes()[:99])
    assert run('in', 'out', '--raw', 'raw') == 1
    assert [path.name for path in Path('out').glob('*.png')] == ['good.png']
    printed = capsys.readouterr()
    assert '1 written, 0 already there, 11 failed' in printed.out
    for expected in (
        'in/eight.png: ValueError: .*uint8.*rendering',
        'in/colour.png: ValueError: .*single-channel',
        'in/nothing.png: ValueError: .*no measured pixel',
        'in/large.png: ValueError: .*size',
        r'in/lonely.png: FileNotFoundError: .*raw/lonely.png',
        'in/metres.png: ValueError: .*looks like metres',
        'in/nan.npy: ValueError: .*NaN',
        'in/negative.npy: ValueError: .*negative',
        'in/huge.npy: ValueError: .*divide by 1000',
        'in/text.npy: .*Error',
        'in/broken.png: ValueError: .*no image',
    ):
        assert any(
            re.search(expected, line) for line in printed.err.splitlines()
        ), expected


def test_frames_without_gravity_are_listed(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    depth = floor()
    save('in/good.png', depth)
    save('in/wall.png', np.full_like(depth, 2000))
    line = np.zeros_like(depth)
    line[24] = 2000
    save('in/line.png', line)
    assert run('in', 'out') == 0
    printed = capsys.readouterr().out
    assert 'or one wall): 2 of 3 frames' in printed
    assert 'in/line.png: eigen-gap 0.0e+00' in printed
    assert 'in/wall.png: eigen-gap' in printed
    assert 'good.png' not in printed


def test_tilted_frames_are_listed(
    run: Run, capsys: pytest.CaptureFixture
) -> None:
    down = np.array([0.0, 1.0, 0.0])
    found = [
        (f'{tilt}.png', HHADiagnostics(down, 0.5, tilt, 9, 9))
        for tilt in (*range(46, 60), 44, 0)
    ]
    print_odd(found)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith('tilt beyond 45 degrees')
    assert printed[0].endswith('14 of 16 frames')
    assert printed[1] == '  46.png: 46 degrees'
    assert printed[-1] == '  ... and 4 more'


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['in', 'out', '--camera', 'kinect'], 'unknown camera preset'),
        (['in', 'out', '--camera', 'none.json'], 'none.json'),
        (['in', 'out'], 'HHA needs --camera'),
        (['in', 'out', '--camera', 'kitchen', '--unit', '0'], 'positive'),
        (['in', 'out', '--camera', 'kitchen', '--raw', 'x'], 'x is no folder'),
        (['in', 'in/out', '--camera', 'kitchen'], 'in/out is inside in'),
        (['in/*.png', 'in', '--camera', 'kitchen'], 'in the output folder in'),
        (['in/*.tif', 'out', '--camera', 'kitchen'], 'no file of type'),
        (['in', 'other', '--camera', 'kitchen'], 'would become other/a.png'),
    ],
)
def test_bad_arguments(
    run: Run, capsys: pytest.CaptureFixture, args: list[str], message: str
) -> None:
    save('in/a.png', floor())
    if 'other' in args:
        save('in/a.tiff', floor())
    said = run(*args, camera=None)
    assert message in f'{said} {capsys.readouterr().err}'
    assert image('in/a.png') is not None


def test_other_settings(run: Run) -> None:
    save('in/a.png', floor())
    assert run('in', 'out') == 0
    said = run('in', 'out', '--unit', 2)
    assert re.search("'unit': 1.0.*'unit': 2.0", said)
    assert 'write to another folder' in run('in', 'out', camera='kitchen')


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    depth = np.full((480, 640), 2000, np.uint16)
    for i in range(3):
        save(tmp_path / f'in/{i}.png', depth)
    save(tmp_path / 'in/bad.png', depth[:100])
    done = subprocess.run(
        [
            *[sys.executable, str(TOOLS / 'encode_depth.py')],
            *['in', 'out', '--camera', 'kitchen', '--jobs', '2'],
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert '3 written, 0 already there, 1 failed' in done.stdout
    assert 'in/bad.png: ValueError: the camera is for 640x480' in done.stderr
    assert len([*(tmp_path / 'out').glob('*.png')]) == 3
