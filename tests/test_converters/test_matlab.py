"""Reading of MATLAB files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mmxdistill.converters.matlab import read_mat


def test_variables(tmp_path: Path) -> None:
    path = tmp_path / 'a.mat'
    savemat(path, dict(one=np.array([[1]]), two=dict(x=3)))
    assert read_mat(path, 'two', 'one') == [dict(x=3), 1]
    (one,) = read_mat(path, 'one', simplify=False)
    assert one.shape == (1, 1)


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / 'a.mat'
    with pytest.raises(FileNotFoundError, match=r'a\.mat. does not exist'):
        read_mat(path, 'one')
    savemat(path, dict(other=np.zeros(1000)), do_compression=True)
    with pytest.raises(ValueError, match=r"no variable one, only \['other'\]"):
        read_mat(path, 'one')
    content = path.read_bytes()
    for text in (b'', b'<html>', content[:100], content[:-9]):
        path.write_bytes(text)
        with pytest.raises(ValueError, match=r'a\.mat. is damaged'):
            read_mat(path, 'other')
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(124) + b'\x00\x02IM')
    with pytest.raises(ValueError, match='version 5 to 7'):
        read_mat(path, 'other')
