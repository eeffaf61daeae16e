"""The picture of a depth map and its HHA."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
CAMERA = dict(fx=60.0, fy=60.0, cx=32.5, cy=24.5)
Main = Callable[..., None]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Main:
    """Run the tool in this process."""
    for folder in ('analysis_tools', 'dataset_converters'):
        monkeypatch.syspath_prepend(str(TOOLS / folder))
    monkeypatch.chdir(tmp_path)
    Path('camera.json').write_text(json.dumps(CAMERA))
    tool = import_module('show_hha')
    return lambda *args: tool.main([*map(str, args)])


def numbers(printed: str) -> dict[str, str]:
    # What imports print comes in between, if nobody imported it before.
    lines = [line for line in printed.splitlines() if ': ' in line]
    return dict(line.split(': ', 1) for line in lines)


def test_generated_room(main: Main, capsys: pytest.CaptureFixture) -> None:
    main('new/room.png')
    assert cv2.imread('new/room.png').std() > 20
    found = numbers(capsys.readouterr().out)
    assert found['holes left in the depth map'] == '0%'


def test_files(main: Main, capsys: pytest.CaptureFixture) -> None:
    depth = np.full((48, 64), 2000, np.uint16)
    depth[:12] = 1000
    depth[20:25] = 0
    raw = depth.copy()
    raw[:, :16] = 0
    for name, image in dict(
        depth=depth, raw=raw, color=np.zeros((48, 64, 3), np.uint8)
    ).items():
        cv2.imwrite(f'{name}.png', image)
    args: list[Any] = ['out.png', '--depth', 'depth.png', '--raw', 'raw.png']
    main(*args, '--color', 'color.png', '--camera', 'camera.json')
    assert Path('out.png').stat().st_size > 1000
    found = numbers(capsys.readouterr().out)
    assert found['measured'].startswith('67%')
    assert found['holes left in the depth map'] == '10%'
    assert found['nearer than 1.22 m, where disparity saturates'] == '19%'
    main(*args, '--camera', 'camera.json', '--fill')
    found = numbers(capsys.readouterr().out)
    assert found['holes left in the depth map'] == '0%'


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--depth', 'depth.png'], '--depth needs --camera'),
        (['--color', 'none.jpg'], 'none.jpg does not exist'),
        (['--camera', 'kinect'], 'unknown camera preset'),
    ],
)
def test_bad_arguments(
    main: Main,
    capsys: pytest.CaptureFixture,
    args: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        main('out.png', *args)
    assert message in capsys.readouterr().err
