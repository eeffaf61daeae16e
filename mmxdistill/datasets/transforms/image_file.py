"""Reading of image files, the same way for every modality.

What all loaders share: an image is turned as its EXIF orientation says, as
mmdet's ``LoadImageFromFile`` turns colour images and every viewer shows them,
keeps its own bit depth, and every error names the file. Size and completeness
are judged by the header, before anything is allocated.
"""

from __future__ import annotations

import io
import os
import re

import cv2
import mmcv.transforms
import numpy as np
from mmengine.fileio import get
from PIL import Image

from mmxdistill.png import PNG_TAG, check_png

__all__ = [
    'COLOUR_OF_FILE',
    'EXIF_ORIENTATION',
    'JPEG_TAG',
    'UPRIGHT',
    'check_header',
    'check_stock_loader',
    'decode_image',
    'decode_upright',
    'load_stock_image',
    'read_bytes',
    'read_image',
]

# 10 000 x 10 000: up to 300 MB of colour.
_MAX_PIXELS = 100_000_000
_NPY = b'\x93NUMPY'
JPEG_TAG = b'\xff\xd8'
# Markers of a JPEG's frame: DHT, JPG and DAC are among their numbers.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WEBP = re.compile(rb'RIFF....WEBP', re.DOTALL)
EXIF_ORIENTATION = 274
# What brings the rows and columns of each orientation upright: swap them
# first, then count them backwards.
UPRIGHT = {
    2: (False, (slice(None), slice(None, None, -1))),
    3: (False, (slice(None, None, -1), slice(None, None, -1))),
    4: (False, (slice(None, None, -1), slice(None))),
    5: (True, (slice(None), slice(None))),
    6: (True, (slice(None), slice(None, None, -1))),
    7: (True, (slice(None, None, -1), slice(None, None, -1))),
    8: (True, (slice(None, None, -1), slice(None))),
}
_TIFF_BITS = 258
# Formats that have no more, or of which Pillow tells.
_EIGHT_BITS = frozenset('BMP GIF JPEG MPO PNG TIFF WEBP'.split())
# Colour channels and depth of the file, and unlike IMREAD_UNCHANGED turned
# by EXIF, as in IMREAD_COLOR.
COLOUR_OF_FILE = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR


def read_bytes(path: str, backend_args: dict | None = None) -> bytes:
    """Read a file that has something in it.

    Raises:
        FileNotFoundError: The file does not exist.
        OSError: It cannot be read; an address may not answer.
        ValueError: It is empty, or a folder.
    """
    try:
        content = bytes(get(path, backend_args=backend_args))
    except FileNotFoundError:
        raise FileNotFoundError(f"'{path}' does not exist") from None
    except IsADirectoryError:
        raise ValueError(f"'{path}' is a folder, not an image") from None
    except OSError as error:  # those of addresses do not name them
        raise OSError(f"'{path}' cannot be read: {error}") from error
    if not content:
        raise ValueError(f"'{path}' is empty (0 bytes): replace the file")
    return content


def read_image(path: str, backend_args: dict | None = None) -> np.ndarray:
    """Read an image with its own bit depth, turned upright.

    Args:
        path (str): Any format of OpenCV, or a ``.npy`` map.
        backend_args (dict, optional): Of mmengine's file backend.

    Returns:
        np.ndarray: (H, W), or (H, W, 3) BGR; palettes and CMYK are colour,
        and opacity is left out.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is no image, damaged, or too large.
    """
    return decode_image(read_bytes(path, backend_args), path)


def decode_image(content: bytes, path: str) -> np.ndarray:
    """Decode the content of an image file; see :func:`read_image`."""
    if content.startswith(_NPY):
        return _decode_npy(content, path)
    check_header(content, path)
    image = decode_upright(content, COLOUR_OF_FILE)
    if image is None:
        raise ValueError(
            f"'{path}' is no image that OpenCV can decode (truncated, or "
            'another format): replace the file'
        )
    return image


def decode_upright(content: bytes, flags: int) -> np.ndarray | None:
    """Decode with OpenCV, turned by EXIF in every format.

    OpenCV (4.12) ignores the orientation of WebP only.

    Args:
        content (bytes): Of the file.
        flags (int): ``cv2.IMREAD_*``, but not ``UNCHANGED``.

    Returns:
        np.ndarray | None: (H, W) or (H, W, 3) BGR; None if it cannot be
        decoded.
    """
    webp = _WEBP.match(content)
    if webp:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    if image is None or not webp:
        return image
    _, orientation = _bits_and_orientation(io.BytesIO(content))
    if orientation not in UPRIGHT:
        return image
    swap, order = UPRIGHT[orientation]
    return np.ascontiguousarray(
        (image.swapaxes(0, 1) if swap else image)[order]
    )


def _decode_npy(content: bytes, path: str) -> np.ndarray:
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(file)
        if len(shape) != 2 or dtype.kind not in 'iuf':
            raise ValueError(
                f'holds {dtype} of shape {shape}, not numbers (H, W)'
            )
        # NumPy would allocate before it finds that values are missing.
        values = np.frombuffer(content, dtype, offset=file.tell())
        return values.reshape(shape, order='F' if fortran else 'C')
    # NumPy reads the header as Python text, which may fail in many ways.
    except Exception as error:
        raise ValueError(f"array '{path}': {error}") from error


def check_header(content: bytes, path: str) -> None:
    """Refuse what is not worth decoding, or would allocate gigabytes.

    Raises:
        ValueError: The image is too large, or its file too short for it.
    """
    ends = True
    if content.startswith(PNG_TAG):
        check_png(content, path)
        width, height = content[16:20], content[20:24]
        pixels = int.from_bytes(width, 'big') * int.from_bytes(height, 'big')
    elif content.startswith(JPEG_TAG):
        pixels, ends = _scan_jpeg(content)
    else:
        pixels = _declared_pixels(content)
    if pixels > _MAX_PIXELS:
        raise ValueError(
            f"'{path}' declares more than {_MAX_PIXELS // 10**6} megapixels: "
            'the file is damaged, or must be cut into tiles'
        )
    if not ends:
        raise ValueError(
            f"'{path}' is no image any more: truncated ({len(content)} "
            'bytes); replace the file'
        )


def _declared_pixels(content: bytes) -> int:
    """Width times height by the header, 0 if Pillow cannot read it."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return _MAX_PIXELS + 1
    except Exception:  # not a format of Pillow's: OpenCV decides
        return 0


def _scan_jpeg(content: bytes) -> tuple[int, bool]:
    """Pixels of a JPEG, and whether its scan is followed by an end marker.

    OpenCV fills what is missing with grey. A thumbnail has an end marker of
    its own, inside of a segment before the scan.
    """
    at, pixels = 2, 0
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xDA:  # start of scan
            return pixels, content.rfind(b'\xff\xd9', at) >= 0
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # without length
            at += 2
        else:
            if marker in _FRAMES:
                height, width = (
                    content[at + 5 : at + 7],
                    content[at + 7 : at + 9],
                )
                pixels = int.from_bytes(height, 'big')
                pixels *= int.from_bytes(width, 'big')
            at += 2 + int.from_bytes(content[at + 2 : at + 4], 'big')
    return pixels, False


def check_stock_loader(
    loader: mmcv.transforms.LoadImageFromFile,
    path: str,
    content: bytes | None = None,
) -> None:
    """Refuse a file that mmcv's loader would load wrongly, by its header.

    It fills the missing part of a photograph with grey, allocates what a
    damaged header says, cuts 16 bits down to the upper 8, in which thermal
    images and depth have a handful of grey levels, and some of its settings
    do not turn the image while all others do.

    Args:
        loader (LoadImageFromFile): The transform of mmcv or mmdet.
        path (str): The file.
        content (bytes, optional): Of the file. Defaults to what is read from
            it if it is local, or in a shard; others are not fetched twice.

    Raises:
        ValueError: Use another loader or another file.
    """
    if content is None:
        if not os.path.isfile(path) and not path.startswith('tar://'):
            return
        content = read_bytes(path)
    check_header(content, path)
    head = content[:26]
    webp = _WEBP.match(head)
    turns = loader.color_type in ('color', 'grayscale')
    backends = ['pillow'] if webp else ['cv2', 'pillow', None]
    turns &= loader.imdecode_backend in backends
    if turns and head.startswith(JPEG_TAG):
        return
    if turns and head.startswith(PNG_TAG):
        bits, orientation = head[24] if len(head) > 24 else 8, 1
    else:
        bits, orientation = _bits_and_orientation(io.BytesIO(content))
        if bits == 0:
            image = decode_upright(content, COLOUR_OF_FILE)
            bits = 8 if image is None else 8 * image.itemsize
    name = type(loader).__name__
    if bits > 8 and loader.color_type != 'unchanged':
        raise ValueError(
            f"'{path}' has more than 8 bits per value, of which {name}("
            f"color_type='{loader.color_type}') keeps the upper 8: load it "
            'with mmxdistill.LoadGrayImageFromFile(value_range=(low, high)) '
            'or mmxdistill.LoadDepthFromFile, or store 8 bits'
        )
    if not turns and orientation in range(2, 9):
        pillow = " and imdecode_backend='pillow'" if webp else ''
        raise ValueError(
            f"'{path}' has EXIF orientation {orientation}, which {name}("
            f"color_type='{loader.color_type}', imdecode_backend="
            f"'{loader.imdecode_backend}') ignores and the loaders of other "
            f"modalities follow: use color_type='color'{pillow}, or store the "
            'image upright'
        )


def load_stock_image(
    loader: mmcv.transforms.LoadImageFromFile, path: str
) -> np.ndarray | None:
    """What ``LoadImageFromFile`` loads, checked, of a file that is read once.

    Args:
        loader (LoadImageFromFile): The transform of mmcv or mmdet.
        path (str): The file.

    Returns:
        np.ndarray | None: The image; None if it cannot be decoded, or if the
        loader has to read the file itself.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: Use another loader or another file.
    """
    if (
        type(loader).transform
        is not mmcv.transforms.LoadImageFromFile.transform
        or loader.file_client_args is not None
    ):
        check_stock_loader(loader, path)
        return None
    content = read_bytes(path, loader.backend_args)
    check_stock_loader(loader, path, content)
    image = mmcv.imfrombytes(
        content, flag=loader.color_type, backend=loader.imdecode_backend
    )
    if image is not None and loader.to_float32:
        image = image.astype(np.float32)
    return image


def _bits_and_orientation(file: io.BytesIO) -> tuple[int, int]:
    """Bits per value, 0 if Pillow cannot tell, and EXIF orientation."""
    try:
        with Image.open(file) as image:
            bits = int(np.max(getattr(image, 'tag_v2', {}).get(_TIFF_BITS, 8)))
            if image.mode.startswith(('I', 'F')):
                bits = max(bits, 16)
            # It opens colour of 16 bits as of 8 (PPM, JPEG 2000).
            known = bits > 8 or image.format in _EIGHT_BITS
            return bits * known, image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # not a format of Pillow's, or not of its modes
        return 0, 1
