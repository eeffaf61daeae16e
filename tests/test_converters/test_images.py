"""Reading of images that must be complete."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxdistill.converters.images import read_image, write_png


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'a{suffix}'
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    cv2.imwrite(str(path), image)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match='truncated'):
            read_image(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_image(path)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / 'a.png').touch()
    with pytest.raises(ValueError, match=r'a\.png. is empty \(0 bytes\)'):
        read_image(tmp_path / 'a.png')


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG file with an EXIF orientation."""
    tiff = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0'
    tiff += bytes([orientation]) + b'\0\0\0\0\0\0'
    segment = b'Exif\0\0' + tiff
    length = (len(segment) + 2).to_bytes(2, 'big')
    return jpeg[:2] + b'\xff\xe1' + length + segment + jpeg[2:]


@pytest.mark.parametrize(
    ('orientation', 'turn'),
    [(3, cv2.ROTATE_180), (6, cv2.ROTATE_90_CLOCKWISE)],
)
def test_exif_orientation(tmp_path: Path, orientation: int, turn: int) -> None:
    """Images are turned as the loaders of the data sets turn them."""
    path = tmp_path / 'a.jpg'
    image = np.zeros((32, 48, 3), np.uint8)
    image[:8, :8] = 255
    cv2.imwrite(str(path), image)
    plain = read_image(path)
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    np.testing.assert_array_equal(read_image(path), cv2.rotate(plain, turn))
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))


def png_of_size(width: int, height: int) -> bytes:
    """A small PNG file that says it is of this size."""
    content = cv2.imencode('.png', np.zeros((4, 4), np.uint8))[1].tobytes()
    header = b'IHDR' + struct.pack('>II', width, height) + content[24:29]
    return (
        b''.join([content[:12], header, struct.pack('>I', zlib.crc32(header))])
        + content[33:]
    )


@pytest.mark.parametrize('size', [(12_000, 12_000), (30_000, 30_000)])
def test_size_that_the_file_cannot_hold(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV would take gigabytes first."""
    path = tmp_path / 'a.png'
    path.write_bytes(png_of_size(*size))
    monkeypatch.setattr(cv2, 'imdecode', None)
    with pytest.raises(ValueError, match=r"a\.png'.* (truncated|megapixels)"):
        read_image(path)


def test_blank_images_are_read(tmp_path: Path) -> None:
    """They are as small as files can be."""
    for suffix in ('.png', '.jpg', '.bmp', '.ppm', '.tiff'):
        path = tmp_path / f'a{suffix}'
        cv2.imwrite(str(path), np.zeros((2000, 3000, 3), np.uint8))
        assert read_image(path).shape == (2000, 3000, 3)


def test_png(tmp_path: Path) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    path = tmp_path / 'new/i.png'
    write_png(path, image)
    np.testing.assert_array_equal(cv2.imread(str(path)), image)
    assert list(path.parent.iterdir()) == [path]
