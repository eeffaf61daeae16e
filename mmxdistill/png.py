"""Check of a PNG file before OpenCV decodes it."""

from __future__ import annotations

__all__ = ['PNG_TAG', 'check_png']

PNG_TAG = b'\x89PNG\r\n\x1a\n'
_HEADER = 26  # up to the kind of its pixels
# Deflate makes nothing smaller than that.
_MAX_RATIO = 1032
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def check_png(content: bytes, name: str) -> None:
    """Check that a file holds what its header and its chunks say.

    OpenCV returns what it could decode of a truncated file, and allocates as
    many bytes as a damaged length says, up to 1 GB.

    Args:
        content (bytes): Of a file that begins with :data:`PNG_TAG`.
        name (str): What the error message calls it.

    Raises:
        ValueError: It is truncated or damaged.
    """
    if _is_short(content) or not _has_all_chunks(content):
        raise ValueError(
            f"'{name}' is no image any more: truncated ({len(content)} "
            'bytes) or damaged; replace the file'
        )


def _is_short(content: bytes) -> bool:
    """Whether so many bytes cannot hold so many pixels."""
    if len(content) < _HEADER:
        return True
    width = int.from_bytes(content[16:20], 'big')
    height = int.from_bytes(content[20:24], 'big')
    bits = content[24] * _CHANNELS.get(content[25], 1)
    row = 1 + (width * bits + 7) // 8
    return row * height > _MAX_RATIO * len(content)


def _has_all_chunks(content: bytes) -> bool:
    at = len(PNG_TAG)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], 'big')
        if content[at + 4 : at + 8] == b'IEND':
            return length == 0
        at += 12 + length
    return False
