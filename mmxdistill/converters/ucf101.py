"""UCF101: its split files and videos."""

from __future__ import annotations

import re
from pathlib import Path

from mmxdistill.text_files import read_text

__all__ = ['SPLIT_SIZES', 'check_avi', 'read_split']

# Videos in the published lists; a shorter one of the same name is cut off.
SPLIT_SIZES = {
    'trainlist01.txt': 9537,
    'testlist01.txt': 3783,
    'trainlist02.txt': 9586,
    'testlist02.txt': 3734,
    'trainlist03.txt': 9624,
    'testlist03.txt': 3696,
}
# ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1 (no number in test lists)
_LINE = re.compile(r'(\w+/v_\w+_g\d{2}_c\d{2}\.avi)(?:\s+\d+)?')
_RIFF_HEADER = 12


def read_split(path: Path) -> list[str]:
    """Read a split file.

    Args:
        path (Path): ``trainlist01.txt``, ...; or a list of one's own, in the
            same form.

    Returns:
        list[str]: ``<class>/<video>.avi`` in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file, is cut off, or names a video twice.
    """
    names: dict[str, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise ValueError(
                f"'{path}' line {number}: expected a video such as "
                "'ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1', found "
                f'{line[:80]!r}'
            )
        if match[1] in names:
            raise ValueError(
                f"'{path}' names {match[1]} in the lines {names[match[1]]} "
                f'and {number}'
            )
        names[match[1]] = number
    expected = SPLIT_SIZES.get(path.name)
    if expected not in (None, len(names)):
        raise ValueError(
            f"'{path}' names {len(names)} videos, but the published list of "
            f'this name {expected}: it is cut off or changed; give a list of '
            'your own another name'
        )
    if not names:
        raise ValueError(f"'{path}' names no video")
    return list(names)


def check_avi(path: Path) -> None:
    """Check that a video is an AVI file of its full length.

    A decoder takes what there is of a file that was cut off.

    Args:
        path (Path): The file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no AVI file, or shorter than its header says.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    with path.open('rb') as file:
        header = file.read(_RIFF_HEADER)
    if header[:4] != b'RIFF' or header[8:] != b'AVI ':
        raise ValueError(f"'{path}' is no AVI file: it begins {header!r}")
    wanted = int.from_bytes(header[4:8], 'little') + 8
    size = path.stat().st_size
    if size < wanted:
        raise ValueError(
            f"'{path}' is truncated: it has {size} of {wanted} bytes"
        )
