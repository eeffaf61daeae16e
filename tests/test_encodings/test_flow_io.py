from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxdistill.encodings import read_flow, write_flow


def flow_with_holes(height: int = 7, width: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    flow = rng.normal(0, 20, (height, width, 2)).astype(np.float32)
    flow[2, 3] = np.nan
    flow[0, 0, 1] = np.nan
    return flow


def with_both_unknown(flow: np.ndarray) -> np.ndarray:
    unknown = np.isnan(flow).any(axis=2, keepdims=True)
    return np.where(unknown, np.float32(np.nan), flow)


@pytest.mark.parametrize('dtype', ['float32', 'float64', '>f4'])
def test_flo_is_exact(tmp_path: Path, dtype: str) -> None:
    path = tmp_path / 'new' / 'f.flo'
    flow = flow_with_holes()
    write_flow(path, np.asfortranarray(flow.astype(dtype)))
    np.testing.assert_array_equal(read_flow(path), with_both_unknown(flow))
    assert list(path.parent.iterdir()) == [path]


def test_kitti_is_within_half_a_level(tmp_path: Path) -> None:
    path = tmp_path / 'f.png'
    flow = flow_with_holes()
    flow[1, :4] = [[511.98, -512], [0, 0], [-0.01, 0.01], [64, -64]]
    write_flow(path, flow)
    found = read_flow(path)
    np.testing.assert_allclose(
        found, with_both_unknown(flow), atol=0.5001 / 64
    )
    assert found.dtype == np.float32
    write_flow(tmp_path / 'again.png', found)
    assert (tmp_path / 'again.png').read_bytes() == path.read_bytes()


def test_kitti_layout(tmp_path: Path) -> None:
    """x in red, y in green, valid in blue, as the KITTI kit has it."""
    path = tmp_path / 'f.png'
    write_flow(path, [[[1.0, -2.0], [np.nan, np.nan]]])
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(
        stored[..., ::-1], [[[2**15 + 64, 2**15 - 128, 1], [0, 0, 0]]]
    )


def test_same_as_opencv(tmp_path: Path) -> None:
    flow = np.nan_to_num(flow_with_holes())
    ours, theirs = str(tmp_path / 'a.flo'), str(tmp_path / 'b.flo')
    write_flow(ours, flow)
    assert cv2.writeOpticalFlow(theirs, flow)
    assert Path(ours).read_bytes() == Path(theirs).read_bytes()
    np.testing.assert_array_equal(cv2.readOpticalFlow(ours), flow)


def test_middlebury_files(data: Path, tmp_path: Path) -> None:
    files = sorted(data.glob('middlebury_flow/*/*.flo'))
    if not files:
        pytest.skip(f'{data} has no middlebury_flow')
    for path in files:
        flow, stored = read_flow(path), cv2.readOpticalFlow(str(path))
        unknown = (np.abs(stored) > 1e9).any(axis=2)
        np.testing.assert_array_equal(np.isnan(flow).any(axis=2), unknown)
        np.testing.assert_array_equal(flow[~unknown], stored[~unknown])
        for name, error in (('f.flo', 0), ('f.png', 0.5001 / 64)):
            write_flow(tmp_path / name, flow)
            again = read_flow(tmp_path / name)
            np.testing.assert_allclose(again, flow, atol=error, rtol=0)


@pytest.mark.parametrize('marker', [1.666666752e9, np.nan, np.inf, -1e10])
def test_unknown_pixels_of_other_programs(
    tmp_path: Path, marker: float
) -> None:
    path = str(tmp_path / 'f.flo')
    flow = np.ones((3, 4, 2), np.float32)
    flow[1, 2, 0] = marker
    assert cv2.writeOpticalFlow(path, flow)
    found = read_flow(path)
    assert np.isnan(found[1, 2]).all()
    assert np.isnan(found).sum() == 2


class TestBadFiles:
    @pytest.mark.parametrize('suffix', ['.flo', '.png'])
    def test_truncated_at_any_byte(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f'f{suffix}'
        write_flow(path, np.ones((3, 4, 2)))
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(ValueError, match=rf'f\{suffix}'):
                read_flow(path)

    @pytest.mark.parametrize(
        ('content', 'message'),
        [
            (b'', "begins with b''"),
            (b'JFIF....', 'neither .flo'),
            (b'PIEH' + b'\0' * 8, 'header says 0x0'),
            (b'PIEH' + b'\xff' * 8, 'header says -1x-1'),
            (b'PIEH\1\0\0\0\1\0\0\0' + b'\0' * 9, 'damaged: 1x1.* has 21'),
            (b'PIEH\1\0\0\0\1\0\0\0' + b'\0' * 7, 'truncated: 1x1.* has 19'),
            (b'\x89PNG\r\n\x1a\nIEND', 'truncated'),
        ],
    )
    def test_foreign(
        self, tmp_path: Path, content: bytes, message: str
    ) -> None:
        path = tmp_path / 'x.flo'
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf'x\.flo.*{message}'):
            read_flow(path)

    @pytest.mark.parametrize(
        ('image', 'message'),
        [
            (np.zeros((4, 5, 3), np.uint8), 'uint8.*8-bit flow image'),
            (np.zeros((4, 5), np.uint16), r'uint16 of shape \(4, 5\)'),
            (np.zeros((4, 5, 4), np.uint16), r'\(4, 5, 4\)'),
        ],
    )
    def test_other_png(
        self, tmp_path: Path, image: np.ndarray, message: str
    ) -> None:
        path = str(tmp_path / 'i.png')
        assert cv2.imwrite(path, image)
        with pytest.raises(ValueError, match=rf'i\.png.*{message}'):
            read_flow(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match='gone'):
            read_flow(tmp_path / 'gone.flo')


def test_what_cannot_be_written(tmp_path: Path) -> None:
    flow = np.zeros((2, 3, 2))
    with pytest.raises(ValueError, match=r'f\.txt.*\.flo, \.png'):
        write_flow(tmp_path / 'f.txt', flow)
    with pytest.raises(ValueError, match='found shape'):
        write_flow(tmp_path / 'f.flo', flow[..., 0])
    flow[1, 1] = 600
    with pytest.raises(ValueError, match=r'up to 600 pixels.*write \.flo'):
        write_flow(tmp_path / 'f.png', flow)
    assert not list(tmp_path.iterdir())
