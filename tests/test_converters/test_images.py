"""Reading of images that must be complete."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxdistill.converters.images import read_image


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_image(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f'a{suffix}'
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    cv2.imwrite(str(path), image)
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path)))
    content = path.read_bytes()
    for share in (0, 0.1, 0.5, 0.95):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match='truncated or no image'):
            read_image(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_image(path)
