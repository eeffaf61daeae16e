"""UCF101."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from video_files import moving_frames, write_avi

from mmxdistill.converters.ucf101 import (
    SPLIT_SIZES,
    check_avi,
    read_split,
)


def video(i: int) -> str:
    return f'YoYo/v_YoYo_g{i // 100 + 1:02d}_c{i % 100:02d}.avi'


def test_own_list(tmp_path: Path) -> None:
    path = tmp_path / 'mine.txt'
    path.write_text(f'{video(1)} 101\r\n\r\n{video(0)}\r\n')
    assert read_split(path) == [video(1), video(0)]


@pytest.mark.parametrize('name', SPLIT_SIZES)
def test_published_list(tmp_path: Path, name: str) -> None:
    """Lists for training have a class number; none may be cut off."""
    path = tmp_path / name
    number = ' 101' if name.startswith('train') else ''
    lines = [f'{video(i)}{number}\n' for i in range(SPLIT_SIZES[name])]
    path.write_text(''.join(lines))
    assert len(read_split(path)) == SPLIT_SIZES[name]
    path.write_text(''.join(lines[:-1]))
    with pytest.raises(ValueError, match='it is cut off or changed'):
        read_split(path)


def test_bad_lists(tmp_path: Path) -> None:
    path = tmp_path / 'mine.txt'
    with pytest.raises(FileNotFoundError, match='mine.txt'):
        read_split(path)
    for content, message in (
        ('', 'names no video'),
        ('1 ApplyEyeMakeup\n2 ApplyLipstick\n', 'line 1: expected a video'),
        (f'{video(0)}\n{video(1)[:-5]}', 'line 2: expected a video'),
        (f'{video(0)}\n{video(1)}\n{video(0)} 5\n', 'in the lines 1 and 3'),
        ('../../x/v_x_g01_c01.avi', 'line 1: expected a video'),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_split(path)


def test_avi(tmp_path: Path) -> None:
    path = tmp_path / 'a.avi'
    write_avi(path, moving_frames(9))
    check_avi(path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    size = len(content)
    with pytest.raises(ValueError, match=f'has {size - 1} of {size} bytes'):
        check_avi(path)
    for other in (b'', b'<html>', b'RIFF\0\0\0\0WAVE'):
        path.write_bytes(other)
        with pytest.raises(ValueError, match='is no AVI file'):
            check_avi(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='does not exist'):
        check_avi(path)
