import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from mmxdistill.datasets.image_size import read_image_size

TURNED = b'MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0' + bytes(4)


@pytest.mark.parametrize('orientation', [None, 1, 3, 6, 8])
@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif'])
def test_as_the_image_is_loaded(tmp_path, orientation, suffix):
    path = tmp_path / f'a.{suffix}'
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path, exif=exif)
    size = (6, 8) if orientation in (6, 8) else (8, 6)
    assert read_image_size(path) == size


def test_png_is_not_decoded(tmp_path, monkeypatch):
    """Unless something follows its pixels that may turn it."""
    path = tmp_path / 'a.png'
    image = Image.fromarray(np.zeros((6, 8, 3), np.uint8))
    image.save(path, exif=b'Exif\0\0' + TURNED)
    content = path.read_bytes()
    at = content.index(b'eXIf') - 4
    exif = content[at : at + 12 + len(TURNED)]
    content = content.replace(exif, b'')
    path.write_bytes(content[:-12] + exif + content[-12:])
    assert read_image_size(path) == (6, 8)
    monkeypatch.setattr(PngImageFile, 'load', None)
    path.write_bytes(content)
    assert read_image_size(path) == (8, 6)


def test_no_image(tmp_path):
    path = tmp_path / 'a.npy'
    np.save(path, np.zeros((6, 8)))
    assert read_image_size(path) is None
    path.write_bytes(b'')
    assert read_image_size(path) is None
    assert read_image_size(tmp_path / 'none.png') is None
