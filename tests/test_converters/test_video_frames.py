"""Folders that hold the numbered frames of a video."""

from pathlib import Path

import pytest

from mmxdistill.converters.video_frames import list_frames


def test_frames(tmp_path: Path) -> None:
    for name in ('00001.png', '00002.jpg', '._00001.png', 'x.png', '3.txt'):
        (tmp_path / name).touch()
    found = [path.name for path in list_frames(tmp_path)]
    assert found == ['00001.png', '00002.jpg']
    (tmp_path / '00010.png').touch()
    with pytest.raises(ValueError, match=r'7 are missing: \[3, 4, 5, 6, 7\]'):
        list_frames(tmp_path)


def test_not_from_one(tmp_path: Path) -> None:
    (tmp_path / '00000.png').touch()
    with pytest.raises(ValueError, match='frames from 1 without gaps'):
        list_frames(tmp_path)


def test_twice(tmp_path: Path) -> None:
    for name in ('00001.png', '00001.jpg', '00002.png'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r'1 are there twice: \[1\]'):
        list_frames(tmp_path)


def test_no_frames(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='holds no frames'):
        list_frames(tmp_path)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        list_frames(tmp_path / 'gone')


def test_suffix_in_capitals(tmp_path: Path) -> None:
    for name in ('1.PNG', '2.JPG', '3.jpeg'):
        (tmp_path / name).touch()
    assert len(list_frames(tmp_path)) == 3


def test_number_out_of_all_bounds(tmp_path: Path) -> None:
    """No list of all that is missing: it would take gigabytes."""
    for name in ('1.png', '3.png', '999999999999.png'):
        (tmp_path / name).touch()
    with pytest.raises(
        ValueError, match=r'999999999996 are missing: \[2, 4, 5, 6, 7\]'
    ):
        list_frames(tmp_path)
