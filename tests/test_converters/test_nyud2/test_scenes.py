import pytest
from nyud2_files import write_video

from mmxdistill.converters.nyud2 import choose_scenes, find_scenes

# Videos of the labelled frames 5001..5008, and their splits.
LABELED = [
    'den_0001',
    'den_0001',
    'attic_0001a',
    'attic_0001b',
    'hall_0003',
    'hall_0003',
    'shop_0002',
    'pub_0009a',
]
SPLITS = dict(
    train=[5001, 5003, 5005], val=[5002, 5004, 5007], test=[5006, 5008]
)
NAMES = [
    'attic_0001a',
    'attic_0001c',
    'den_0001',
    'hall_0003',
    'loft_0001',
    'pub_0009b',
    'shop_0002',
    'shop_00021',
]


def test_trainval():
    found = choose_scenes(NAMES, LABELED, 'trainval', SPLITS)
    # A part without labelled frames belongs to its place.
    assert found.used == [
        'attic_0001a',
        'attic_0001c',
        'den_0001',
        'shop_0002',
    ]
    # With a single labelled test frame, the place is of the test split.
    assert found.test == ['hall_0003', 'pub_0009b']
    assert found.unknown == ['loft_0001', 'shop_00021']
    assert found.other == []


def test_train_takes_no_place_of_val():
    labeled = [*LABELED[:1], 'den_0002', *LABELED[2:]]
    found = choose_scenes([*NAMES, 'den_0002'], labeled, 'train', SPLITS)
    assert found.used == ['den_0001']
    assert found.other == [
        'attic_0001a',
        'attic_0001c',
        'shop_0002',
        'den_0002',
    ]
    assert found.test == ['hall_0003', 'pub_0009b']


@pytest.mark.parametrize('split', ['test', 'val', 'Train'])
def test_other_splits_are_refused(split):
    with pytest.raises(ValueError, match=f"'{split}'.*train or trainval"):
        choose_scenes(NAMES, LABELED, split, SPLITS)


def test_find(tmp_path):
    write_video(tmp_path / 'dens_part1/den_0001', [1.0], [])
    write_video(tmp_path / 'attic_0001a', [], [1.0])
    (tmp_path / 'attic_0001a/a-1.0-5.dump').write_bytes(b'1')
    (tmp_path / 'notes').mkdir()
    (tmp_path / 'notes/readme.txt').write_text('no frames')
    found = find_scenes(tmp_path)
    assert found == dict(
        attic_0001a=tmp_path / 'attic_0001a',
        den_0001=tmp_path / 'dens_part1/den_0001',
    )
    assert list(found) == sorted(found)
    # The folder of a single video.
    (only,) = find_scenes(tmp_path / 'attic_0001a')
    assert only == 'attic_0001a'


def test_scene_in_two_places(tmp_path):
    for part in ('part1', 'part2'):
        write_video(tmp_path / part / 'den_0001', [1.0], [1.0])
    with pytest.raises(ValueError, match="'den_0001' is there twice"):
        find_scenes(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='no raw frames'):
        find_scenes(tmp_path)
    with pytest.raises(FileNotFoundError, match='is no folder'):
        find_scenes(tmp_path / 'raw.zip')
