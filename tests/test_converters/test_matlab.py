"""Reading of MATLAB files."""

import io
import random
import resource
import struct
import zlib
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


def mcg(number: int, shape: tuple[int, int], compress: bool) -> bytes:
    """A file like the authors' proposals, whose cell says another shape."""
    cells = np.empty((number, 1), object)
    cells[:, 0] = [np.ones((3, 4)) for _ in range(number)]
    file = io.BytesIO()
    savemat(file, dict(bboxes=cells))
    content = bytearray(file.getvalue())
    # After the header: tag, flags (16 bytes), tag of the shape.
    assert struct.unpack_from('<2i', content, 160) == (number, 1)
    struct.pack_into('<2i', content, 160, *shape)
    if compress:
        packed = zlib.compress(content[128:])
        tag = struct.pack('<2I', 15, len(packed))
        content = content[:128] + tag + packed
    return bytes(content)


@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('shape', [(700_000_000, 1), (40_000, 40_000), (3, 3)])
def test_more_cells_than_the_file_can_hold(
    tmp_path: Path, shape: tuple[int, int], compress: bool
) -> None:
    """A kilobyte would take gigabytes."""
    path = tmp_path / 'a.mat'
    path.write_bytes(mcg(2, (2, 1), compress))
    (cells,) = read_mat(path, 'bboxes', simplify=False)
    assert cells.shape == (2, 1)
    path.write_bytes(mcg(2, shape, compress))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r'a\.mat. is damaged'):
        read_mat(path, 'bboxes')
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100_000  # kilobytes


def test_compressed_variable_that_says_it_is_huge(tmp_path: Path) -> None:
    packed = zlib.compress(struct.pack('<2I', 14, 4_000_000_000))
    path = tmp_path / 'a.mat'
    header = b'MATLAB 5.0 MAT-file'.ljust(124) + b'\x00\x01IM'
    path.write_bytes(header + struct.pack('<2I', 15, len(packed)) + packed)
    with pytest.raises(ValueError, match='says it is 4000000000 long'):
        read_mat(path, 'bboxes')


def test_mutated_files_never_crash(tmp_path: Path) -> None:
    """SciPy alone would crash on some of these, which ends the process."""
    files = []
    for compress in (False, True):
        file = io.BytesIO()
        item = {'class': 'bed', 'bbox': np.arange(4.0)}
        savemat(
            file,
            dict(
                rec=dict(objects=[item] * 2),
                names=np.array(['a', 'bc'], object),
                mask=np.zeros((8, 8, 3), np.uint8),
                wave=np.eye(2) * 1j,
            ),
            do_compression=compress,
        )
        files.append(file.getvalue())
    path = tmp_path / 'a.mat'
    rng = random.Random(0)
    for _ in range(600):
        content = bytearray(rng.choice(files))
        for _ in range(rng.choice((1, 1, 2, 4))):
            content[rng.randrange(len(content))] = rng.choice(
                (0, 1, 127, 255, rng.randrange(256))
            )
        path.write_bytes(content)
        try:
            read_mat(path, 'rec')
        except ValueError as error:
            assert str(path) in str(error)
