import cv2
import numpy as np
import pytest

from mmxdistill.apis.inputs import list_pairs

IMAGE = np.zeros((4, 5), np.uint8)


def equal_names(name, first, path):
    return None


def pairs(inputs, partner=equal_names, **kwargs):
    return list(list_pairs(inputs, partner, lambda pair: pair, **kwargs))


def fill(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        cv2.imwrite(str(folder / name), IMAGE)
    return folder


def test_folders_pair_by_name(tmp_path):
    a = fill(tmp_path / 'a', 'x.jpg', 'y.jpg')
    b = fill(tmp_path / 'b', 'x_ir.png', 'y.png')
    (b / 'notes.txt').touch()

    def partner(name, first, path):
        assert first == 'rgb'
        return f'{path[:-4]}_ir.png'

    found = pairs(dict(rgb=a, thermal=b, depth=None), partner)
    assert found == [
        ('x', dict(rgb=f'{a}/x.jpg', thermal=f'{b}/x_ir.png', depth=None)),
        ('y', dict(rgb=f'{a}/y.jpg', thermal=f'{b}/y.png', depth=None)),
    ]


def test_files_without_partner_are_named(tmp_path):
    a = fill(tmp_path / 'a', 'x.jpg', 'y.jpg')
    b = fill(tmp_path / 'b', 'x.png', 'z.png')
    with pytest.raises(
        FileNotFoundError, match=r"'thermal' lacks 1 .*y.*'rgb' lacks 1 .*z\."
    ):
        pairs(dict(rgb=a, thermal=b))
    with pytest.warns(UserWarning, match='lacks 1 of 3'):
        found = pairs(dict(rgb=a, thermal=b), allow_missing=True)
    assert [
        [n for n, source in pair.sources.items() if source] for pair in found
    ] == [['rgb', 'thermal'], ['rgb'], ['thermal']]
    fill(tmp_path / 'c', 'other.png')
    with pytest.raises(FileNotFoundError, match='No pair is complete'):
        pairs(dict(rgb=a, thermal=tmp_path / 'c'), allow_missing=True)


def test_two_files_of_one_name(tmp_path):
    folder = fill(tmp_path / 'a', 'x.jpg', 'x.png')
    with pytest.raises(ValueError, match=r'x\.jpg.*x\.png.*same name'):
        pairs(dict(rgb=folder))


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        (dict(rgb=None), 'all modalities are missing'),
        (dict(rgb=IMAGE, thermal=[IMAGE]), "'rgb': an image, 'thermal': a l"),
        (dict(rgb=[IMAGE], thermal=[IMAGE] * 2), 'differ in length'),
        (dict(rgb=7), "'rgb' must be a NumPy array.*int"),
        (dict(rgb=[[IMAGE]]), r"'rgb\[0\]' must be an image"),
    ],
)
def test_what_is_no_pair(inputs, message):
    with pytest.raises(ValueError, match=message):
        pairs(inputs)


def test_videos_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"video '.*none.mp4'"):
        pairs(dict(rgb=tmp_path / 'none.mp4'))
    (tmp_path / 'a.mp4').write_bytes(b'not a video')
    with pytest.raises(ValueError, match=r'a\.mp4.* is no video'):
        pairs(dict(rgb=tmp_path / 'a.mp4'))
