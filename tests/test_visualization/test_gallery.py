import numpy as np
import pytest
from pages import read_page

from mmxdistill.visualization import Boxes, Gallery, Page, Picture


def test_is_small_whatever_is_added(tmp_path):
    """Thousands of large images."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    gallery = Gallery(limit=2**20)
    added = [gallery.add(str(i), [Picture('rgb', noise)]) for i in range(40)]
    count = sum(added)
    assert 2 < count < 40
    assert added == [True] * count + [False] * (40 - count)
    page = Page('Pairs')
    page.gallery(gallery)
    page.write(tmp_path / 'page.html')
    assert (tmp_path / 'page.html').stat().st_size < 2**20 + 2**15
    read = read_page(tmp_path / 'page.html')
    assert len(read.images) == count
    assert read.images[0][0].shape == (300, 400, 3)
    assert f'those of the other {40 - count} are left out' in str(read.texts)


def test_boxes(tmp_path):
    rng = np.random.default_rng(0)
    start = rng.uniform(0, 50, (70, 2))
    boxes = np.hstack([start, start + 10])
    scores = rng.uniform(0, 1, 70)
    image = np.full((60, 80, 1), 3000, np.uint16)
    gallery = Gallery()
    truth = Boxes('objects', boxes[:1], ['car'])
    found = Boxes('found', boxes, ['dog'] * 70, scores, named=False)
    broken = Boxes('broken', np.array([[np.nan, 0, 1, 1], [0, 0, np.inf, 1]]))
    gallery.add('a', [Picture('depth', image, [truth, found, broken])])
    page = Page('Pairs')
    page.gallery(gallery)
    page.write(tmp_path / 'page.html')
    read = read_page(tmp_path / 'page.html')
    first, *others = read.rects
    assert float(first['x']) == pytest.approx(boxes[0, 0], abs=0.06)
    assert (first['width'], first['height']) == ('10.0', '10.0')
    # The best ones, and how many are not drawn.
    drawn = [float(one['data-score']) for one in others]
    np.testing.assert_allclose(drawn, np.sort(scores)[::-1][:50], atol=6e-4)
    assert '22 more boxes not drawn' in str(read.texts)
    assert read.texts.count('car') == 1  # named on the picture
    assert 'dog' not in [text.split()[0] for text in read.texts]
    ((_, alt),) = read.images
    assert alt.startswith('depth image of a. objects: car; found: dog 0.9')
    assert 'and 40 more' in alt
    assert 'broken: no box' in alt


def test_more_origins_than_colours():
    boxes = [Boxes(f'net {i}', np.zeros((1, 4))) for i in range(9)]
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match='a page shows 8 origins'):
        Gallery().add('a', [Picture('rgb', image, boxes)])
