import numpy as np
import pytest
from PIL import Image

from mmxdistill.datasets.image_size import read_image_size


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


def test_no_image(tmp_path):
    path = tmp_path / 'a.npy'
    np.save(path, np.zeros((6, 8)))
    assert read_image_size(path) is None
    path.write_bytes(b'')
    assert read_image_size(path) is None
    assert read_image_size(tmp_path / 'none.png') is None
