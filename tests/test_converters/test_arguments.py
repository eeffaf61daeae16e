"""Options that the converters share."""

import argparse
import json
import os
from pathlib import Path

import pytest

from mmxdistill.converters.arguments import add_arguments, find_camera


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, 'files')
    return parser.parse_args(['in', 'out', *argv])


def test_arguments() -> None:
    args = parse()
    assert (args.source, args.out) == (Path('in'), Path('out'))
    assert args.jobs >= 1
    assert args.shard == (1, 1)
    assert not args.overwrite
    assert parse('--shard', '3/8').shard == (3, 8)


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--shard', '0/4'], "'0/4': write I/N with 1 <= I <= N"),
        (['--shard', '5/4'], "'5/4'"),
        (['--shard', '2'], "'2': write I/N"),
        (['--jobs', '0'], "'0' is no number; it must be at least 1"),
        (['--jobs', 'x'], "'x' is no number; it must be at least 1"),
    ],
)
def test_bad_arguments(
    capsys: pytest.CaptureFixture,
    argv: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        parse(*argv)
    assert message in capsys.readouterr().err


def test_jobs_are_the_cpus_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, 'cpu_count', lambda: 64)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {1, 5, 7})
    assert parse().jobs == 3


CAMERA = dict(fx=60.0, fy=61.0, cx=32.5, cy=24.5)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
@pytest.mark.parametrize('name', ['camera.json', 'CAMERA.JSON'])
def test_camera_file(tmp_path: Path, name: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps(CAMERA), encoding=encoding)
    camera = find_camera(str(path))
    assert (camera.fx, camera.cy) == (60, 24.5)


@pytest.mark.parametrize(
    'content', [b'', b'{"fx": 1', b'[1]', b'{"fx": 1}', b'\xe4', b'null']
)
def test_damaged_camera_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'camera.json'
    path.write_bytes(content)
    with pytest.raises(argparse.ArgumentTypeError, match=r'camera\.json'):
        find_camera(str(path))
