import cv2
import numpy as np
import pytest

from mmxdistill.registry import TRANSFORMS


def test_superpixels(tmp_path):
    numbers = np.arange(1, 13).reshape(3, 4).astype(np.uint16) * 100
    path = str(tmp_path / 'a.png')
    cv2.imwrite(path, numbers)
    load = TRANSFORMS.build(dict(type='mmxdistill.LoadSuperpixels'))
    results = dict(modality_paths=dict(superpixels=path), ori_shape=(3, 4))
    assert (load(results)['superpixels'] == numbers).all()
    with pytest.raises(ValueError, match=r'a\.png.*numbers from 1'):
        load(dict(results, ori_shape=(4, 3)))
    other = dict(superpixels=f'{path}x')
    with pytest.raises(FileNotFoundError, match=r'a\.pngx. does not exist'):
        load(dict(results, modality_paths=other))
    numbers[0, 0] = 0
    cv2.imwrite(path, numbers)
    with pytest.raises(ValueError, match='numbers from 1'):
        load(results)
    with pytest.raises(KeyError, match=r"only \['rgb'\]; add superpixels="):
        load(dict(modality_paths=dict(rgb=path), ori_shape=(3, 4)))
