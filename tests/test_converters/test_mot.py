"""MOTChallenge."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from video_files import write_mot

from mmxdistill.converters.mot import MOTBox, read_sequence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_mot(tmp_path / 'A')
    return tmp_path / 'A'


def test_sequence(folder: Path) -> None:
    """Pixels count from 1 in the file, from 0 here."""
    found = read_sequence(folder)
    assert (found.name, found.size) == ('A', (32, 40))
    assert [path.name for path in found.frames] == [
        f'{i:06d}.jpg' for i in range(1, 5)
    ]
    for i, boxes in enumerate(found.boxes):
        assert boxes == (MOTBox((3 + i, 4, 15 + i, 24), 1, 1.0, False),)
    assert not found.counts and not found.skipped


def test_boxes_at_and_beyond_the_border(tmp_path: Path) -> None:
    rows = [
        (2, 1, -5, 5, 12, 90),
        (2, 2, 41, 5, 12, 9),
        (2, 3, 5, 5, 0, 9),
        (2, 4, 1, 1, 40, 32),
    ]
    write_mot(tmp_path / 'A', rows=rows)
    found = read_sequence(tmp_path / 'A')
    assert [box.box for box in found.boxes[1]] == [
        (0, 4, 6, 32),
        (0, 0, 40, 32),
    ]
    assert [len(boxes) for boxes in found.boxes] == [0, 2, 0, 0]
    assert found.counts == {
        'cut off at the border': 1,
        'outside the image or empty': 2,
    }
    assert 'frame 2 id 2: (41, 5, 12, 9) is outside' in found.skipped[0]
    assert 'id 3' in found.skipped[1]


def test_later_challenges(tmp_path: Path) -> None:
    """Nine columns: flag, class, visible part."""
    write_mot(tmp_path / 'A', columns=9)
    path = tmp_path / 'A/gt/gt.txt'
    path.write_text(
        '1,1,5,5,9,9,1,1,0.9\n'  # a pedestrian
        '1,2,5,5,9,9,0,1,0.1\n'  # not to be counted
        '1,3,5,5,9,9,1,7,0.5\n'  # static
        '1,4,5,5,9,9,1,3,0.5\n'  # a car
    )
    found = read_sequence(tmp_path / 'A')
    assert [(box.track, box.ignored) for box in found.boxes[0]] == [
        (1, False),
        (2, True),
        (3, True),
    ]
    assert found.counts == {'of other classes': 1}


EXPORT = (
    '1,1,5,5,9,9,1,1,0.9\n1,2,5,5,9,9,1,2,0.9\n1,3,5,5,9,9,0,2,0.9\n'
    '1,4,5,5,9,9,1,3,0.9\n'
)


@pytest.mark.parametrize('place', ['gt', '.', '..'])
@pytest.mark.parametrize(
    'names',
    ['car\nperson\nStatic_Person\n', '\ufeffcar\r\nPedestrian\r\nreflection'],
)
def test_classes_of_an_export_are_taken_by_name(
    tmp_path: Path, place: str, names: str
) -> None:
    """By its number, the car would be a pedestrian."""
    write_mot(tmp_path / 'A', columns=9)
    (tmp_path / 'A/gt/gt.txt').write_text(EXPORT)
    (tmp_path / 'A' / place / 'labels.txt').write_text(names)
    found = read_sequence(tmp_path / 'A')
    assert [(box.track, box.ignored) for box in found.boxes[0]] == [
        (2, False),
        (3, True),
        (4, True),
    ]
    assert found.counts == {'of other classes': 1}


@pytest.mark.parametrize(
    ('names', 'rows', 'message'),
    [
        (
            'car\nhuman\n',
            EXPORT,
            r"labels\.txt.* \['car', 'human'\], .*rename",
        ),
        ('', EXPORT, 'none is pedestrian or person'),
        ('car\nperson\n', EXPORT, r'class 3, but .*labels\.txt has 1 to 2'),
        (None, '1,1,5,5,9,9,1,0,1\n', 'class 0, but MOTChallenge has 1 to 13'),
        (None, '1,1,5,5,9,9,1,14,1\n', r'class 14, .*name the .*labels\.txt'),
        (None, '1,1,5,5,9,9,1,1.5,1\n', r'class 1\.5'),
        (None, '1,1,5,5,9,9,1,nan,1\n', 'class nan'),
        ('car\nperson\n', '1,1,5,5,9,9,1,-1,-1,-1\n', 'say no class'),
        (None, '1,1,5,5,9,9,1,4,0,1\n1,2,5,5,9,9,1,1,0,0\n', 'VisDrone'),
        (None, '1,1,5,5,9,9,1,3\n', 'has 8 columns'),
    ],
)
def test_classes_that_are_not_known(
    folder: Path, names: str | None, rows: str, message: str
) -> None:
    if names is not None:
        (folder / 'gt/labels.txt').write_text(names)
    (folder / 'gt/gt.txt').write_text(rows)
    with pytest.raises(ValueError, match=message):
        read_sequence(folder)


def test_places_in_3d(folder: Path) -> None:
    """The ten columns of 2015."""
    (folder / 'gt/gt.txt').write_text(
        '1,1,5,5,9,9,1,4.2,-1.5,0\n2,1,5,5,9,9,1,3,0,0\n'
    )
    assert [len(boxes) for boxes in read_sequence(folder).boxes] == [
        1,
        1,
        0,
        0,
    ]


def test_frame_number_out_of_all_bounds(folder: Path) -> None:
    (folder / 'gt/gt.txt').write_text('20000000,1,5,5,9,9,1,-1,-1,-1\n')
    with pytest.raises(ValueError, match=r'frame 2e\+07, but .* 1 to 4'):
        read_sequence(folder)
    (folder / 'gt/gt.txt').write_text('1.5,1,5,5,9,9,1,-1,-1,-1\n')
    with pytest.raises(ValueError, match='line 1: expected'):
        read_sequence(folder)


def test_detections(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match='det.txt'):
        read_sequence(folder, 'det')
    (folder / 'det').mkdir()
    (folder / 'det/det.txt').write_text(
        '1,-1,5,5,9,9,64.3,-1,-1,-1\n3,-1,6,6,9,9,-0.2,-1,-1,-1\n'
    )
    found = read_sequence(folder, 'det')
    assert [len(boxes) for boxes in found.boxes] == [1, 0, 1, 0]
    assert found.boxes[2][0] == MOTBox((5, 5, 14, 14), -1, -0.2, False)
    with pytest.raises(ValueError, match="gt, det, not 'boxes'"):
        read_sequence(folder, 'boxes')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'is empty'),
        ('<html>\n', 'line 1: expected frame, id'),
        ('1,1,5,5,9,9,1,-1,-1,-1\n1,2,5\n', 'line 2: expected frame'),
        ('1,1,5,5,9,9,1,-1,-1,-1\n1,2,5,5,9,9,1,-1\n', 'line 2 has 8 col'),
        ('1,1,5\xe4\n', 'line 1: expected'),
        ('5,1,5,5,9,9,1,-1,-1,-1\n', 'frame 5, but .* frames 1 to 4'),
        ('0,1,5,5,9,9,1,-1,-1,-1\n', 'frame 0, but'),
        ('1,1,nan,5,9,9,1,-1,-1,-1\n', 'line 1: expected'),
    ],
)
def test_bad_labels(folder: Path, content: str, message: str) -> None:
    (folder / 'gt/gt.txt').write_text(content)
    with pytest.raises(ValueError, match=message):
        read_sequence(folder)


def test_incomplete(folder: Path) -> None:
    (folder / 'img1/000004.jpg').unlink()
    with pytest.raises(ValueError, match='says 4 frames .* there are 3'):
        read_sequence(folder)
    (folder / 'img1/000002.jpg').unlink()
    with pytest.raises(ValueError, match=r'missing: \[2\]'):
        read_sequence(folder)
    content = (folder / 'img1/000001.jpg').read_bytes()
    (folder / 'img1/000002.jpg').write_bytes(content)
    (folder / 'seqinfo.ini').write_text('[Sequence]\nseqLength=3\n')
    with pytest.raises(ValueError, match='seqinfo'):
        read_sequence(folder)
    (folder / 'seqinfo.ini').unlink()
    (folder / 'img1/000001.jpg').write_bytes(content[:200])
    with pytest.raises(ValueError, match=r'000001\.jpg. is .*truncated'):
        read_sequence(folder)
    shutil.rmtree(folder / 'img1')
    with pytest.raises(FileNotFoundError, match='img1'):
        read_sequence(folder)


def test_real_sequences(data_root: Path) -> None:
    folders = sorted(
        path for path in (data_root / 'mot_person').glob('*') if path.is_dir()
    )
    if not folders:
        pytest.skip('no sample of MOTChallenge')
    for folder in folders:
        found = read_sequence(folder)
        lines = (folder / 'gt/gt.txt').read_text().splitlines()
        kept = sum(len(boxes) for boxes in found.boxes)
        assert kept + len(found.skipped) == len(lines)
        assert kept > 0.98 * len(lines)
        height, width = found.size
        for boxes in found.boxes:
            for x1, y1, x2, y2 in (box.box for box in boxes):
                assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
