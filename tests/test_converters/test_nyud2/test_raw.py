import numpy as np
import pytest
from nyud2_files import write_pgm, write_ppm, write_video

from mmxdistill.converters.nyud2 import (
    pair_frames,
    read_color,
    read_disparity,
    read_frame_list,
    spread_evenly,
    write_frame_list,
)


def times(pairs):
    """Seconds in the names of both files."""
    return [
        (float(p.color.name.split('-')[1]), float(p.depth.name.split('-')[1]))
        for p in pairs
    ]


class TestPairs:
    def test_nearest_in_time(self, tmp_path):
        folder = tmp_path / 'den_0001'
        write_video(
            folder,
            [100.00, 100.05, 100.10, 100.40],
            [100.06, 100.01, 100.04, 100.13, 100.60],
        )
        pairs, counts = pair_frames(folder)
        assert times(pairs) == [
            (100.00, 100.01),
            (100.05, 100.04),  # 0.01 s away on both sides: the earlier
            (100.10, 100.13),
        ]
        # 100.06 lost to 100.04; 100.40 and 100.60 are too far apart.
        assert counts == {'without a partner': 3}

    def test_names(self, tmp_path):
        write_video(tmp_path / 'den_0001', [1294886363.01106], [1294886363.0])
        (pair,), _ = pair_frames(tmp_path / 'den_0001')
        assert pair.name == 'den_0001-1294886363-011060-1000'
        assert pair.color.name == 'r-1294886363.011060-1000.ppm'
        assert pair.depth.name == 'd-1294886363.000000-2000.pgm'

    def test_names_without_ticks(self, tmp_path):
        write_video(tmp_path / 'den_0001', [7.5], [7.5], ticks=False)
        (pair,), counts = pair_frames(tmp_path / 'den_0001')
        assert pair.name == 'den_0001-7-500000' and not counts

    def test_order_is_that_of_the_numbers(self, tmp_path):
        """Names sort as text, times as numbers."""
        write_video(tmp_path / 'a_1', [9.0, 10.0], [9.01, 10.01])
        pairs, _ = pair_frames(tmp_path / 'a_1')
        assert times(pairs) == [(9.0, 9.01), (10.0, 10.01)]

    def test_dumps_and_truncated_files_are_counted(self, tmp_path):
        folder = tmp_path / 'den_0001'
        write_video(folder, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        for name in (
            'a-1.0-5.dump',
            'r-1.0-5.dump',
            'd-1.0-5.dump',
            'INDEX.txt',
            'r-1.0-5.pgm',
            'r-x.ppm',
        ):
            (folder / name).write_bytes(b'1' * 2_000_000)
        (folder / 'd-2.000000-2001.pgm').write_bytes(b'')
        color = folder / 'r-3.000000-1002.ppm'
        color.write_bytes(color.read_bytes()[:-30])
        pairs, counts = pair_frames(folder)
        assert times(pairs) == [(1.0, 1.0)]
        assert counts == {
            'not a frame': 6,
            'truncated': 2,
            'without a partner': 2,
        }

    def test_one_kind_only(self, tmp_path):
        write_video(tmp_path / 'a_1', [1.0, 2.0], [])
        assert pair_frames(tmp_path / 'a_1') == (
            [],
            {'without a partner': 2},
        )
        write_video(tmp_path / 'a_2', [], [1.0])
        assert pair_frames(tmp_path / 'a_2') == (
            [],
            {'without a partner': 1},
        )


def test_spread_evenly():
    numbers = list(range(100))
    assert spread_evenly(numbers, 4) == [12, 37, 62, 87]
    assert spread_evenly(numbers, 100) == numbers
    assert spread_evenly(numbers[:3], 4) == [0, 1, 2]
    chosen = spread_evenly(list(range(997)), 40)
    steps = np.diff(chosen)
    assert len(chosen) == 40 and steps.min() >= 24 and steps.max() <= 25


class TestFrameList:
    @pytest.fixture
    def folder(self, tmp_path):
        write_video(tmp_path / 'raw/part1/den_0001', [1.0, 2.0], [1.0, 2.0])
        return tmp_path / 'raw/part1/den_0001'

    def test_round_trip_elsewhere(self, tmp_path, folder):
        pairs, _ = pair_frames(folder)
        path = tmp_path / 'train.txt'
        write_frame_list(path, pairs, ['left out: x'])
        lines = path.read_text().splitlines()
        assert lines[0] == '# left out: x'
        assert lines[1] == (
            'den_0001-1-000000-1000\tden_0001/r-1.000000-1000.ppm\t'
            'den_0001/d-1.000000-2000.pgm'
        )
        moved = tmp_path / 'den_0001'
        folder.rename(moved)
        again = read_frame_list(path, dict(den_0001=moved))
        assert [p.name for p in again] == [p.name for p in pairs]
        assert all(p.color.is_file() and p.depth.is_file() for p in again)

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('', 'is empty'),
            ('# only this\n', 'is empty'),
            ('a den_0001/r-1.ppm\n', 'expected .* found .a den_0001/r'),
            ('\na r-1.ppm d-1.pgm\n', 'expected .* found .a r-1'),
            ('a b_1/r-1.ppm b_1/d-1.pgm\n', r"1 scenes .*\['b_1'\]"),
            ('a den_0001/r den_0001/d\n' * 2, 'the same name twice'),
        ],
    )
    def test_bad_lists(self, tmp_path, folder, text, message):
        path = tmp_path / 'list.txt'
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_frame_list(path, dict(den_0001=folder))

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'list\.txt'):
            read_frame_list(tmp_path / 'list.txt', {})


class TestFiles:
    @pytest.fixture
    def image(self):
        rng = np.random.default_rng(0)
        return rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)

    @pytest.fixture
    def disparity(self):
        return np.random.default_rng(0).integers(0, 2048, (480, 640))

    def test_color(self, tmp_path, image):
        write_ppm(tmp_path / 'r.ppm', image)
        np.testing.assert_array_equal(read_color(tmp_path / 'r.ppm'), image)

    @pytest.mark.parametrize('order', ['<u2', '>u2'])
    def test_byte_order(self, tmp_path, disparity, order):
        write_pgm(tmp_path / 'd.pgm', disparity, order)
        found = read_disparity(tmp_path / 'd.pgm')
        np.testing.assert_array_equal(found, disparity)
        assert found.dtype == np.uint16

    def test_low_byte_is_first_where_both_would_do(self, tmp_path):
        write_pgm(tmp_path / 'd.pgm', np.full((480, 640), 0x0304))
        assert (read_disparity(tmp_path / 'd.pgm') == 0x0304).all()

    def test_header_on_several_lines(self, tmp_path, disparity):
        write_pgm(tmp_path / 'd.pgm', disparity)
        content = (tmp_path / 'd.pgm').read_bytes()
        head, _, tail = content.partition(b'\n')
        lines = head.replace(b' ', b'\n')
        (tmp_path / 'd.pgm').write_bytes(lines + b'\n' + tail)
        found = read_disparity(tmp_path / 'd.pgm')
        np.testing.assert_array_equal(found, disparity)

    @pytest.mark.parametrize('keep', [0, 1, 12, 1000, -1])
    def test_truncated(self, tmp_path, image, disparity, keep):
        write_ppm(tmp_path / 'r.ppm', image)
        write_pgm(tmp_path / 'd.pgm', disparity)
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:keep])
        for read, name in ((read_color, 'r.ppm'), (read_disparity, 'd.pgm')):
            with pytest.raises(ValueError, match=f'{name}.*(truncated|no P)'):
                read(tmp_path / name)

    def test_one_kind_given_for_the_other(self, tmp_path, image, disparity):
        write_ppm(tmp_path / 'r.ppm', image)
        write_pgm(tmp_path / 'd.pgm', disparity)
        with pytest.raises(ValueError, match='no P6 image'):
            read_color(tmp_path / 'd.pgm')
        with pytest.raises(ValueError, match='no P5 image'):
            read_disparity(tmp_path / 'r.ppm')

    def test_other_images(self, tmp_path, image):
        write_ppm(tmp_path / 'r.ppm', image[:240])
        with pytest.raises(ValueError, match='640x240, expected 640x480'):
            read_color(tmp_path / 'r.ppm')
        head = b'P5 640 480 255\n'
        (tmp_path / 'd.pgm').write_bytes(head + bytes(480 * 640))
        with pytest.raises(ValueError, match='has 8 bits'):
            read_disparity(tmp_path / 'd.pgm')
        write_pgm(tmp_path / 'd.pgm', np.full((480, 640), 0x2020))
        with pytest.raises(ValueError, match='in both byte orders'):
            read_disparity(tmp_path / 'd.pgm')
