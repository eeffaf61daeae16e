import pytest
import torch

from mmxdistill.models.features.layouts import Layout, Observation, find_layout

SIZES = ((64, 96), (160, 224))


def seen(*shapes, sizes=SIZES, grids=(None, None)):
    """Shapes for 1 image with 3 RoIs, and 2 images with 5 RoIs."""
    return [
        Observation(shape, i + 1, (3, 5)[i], sizes[i], grids[i])
        for i, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize(
    ('shapes', 'kind'),
    [
        (((1, 8, 4, 6), (2, 8, 10, 14)), 'map'),
        (((1, 4, 6, 8), (2, 10, 14, 8)), 'channels-last map'),
        (((1, 4, 6, 8),), 'map'),
        (((1, 6, 6, 8),), 'channels-last map'),
        (((1, 8, 1, 1), (2, 8, 1, 1)), 'map'),
        (((1, 8), (2, 8)), 'vector'),
        (((1, 8, 24), (2, 8, 140)), 'sequence'),
        (((1, 100, 8), (2, 100, 8)), 'token list'),
    ],
)
def test_kinds(shapes, kind):
    layout = find_layout(seen(*shapes))
    assert layout.kind == kind
    assert not layout.per_roi


@pytest.mark.parametrize(
    ('shapes', 'kind'),
    [(((3, 8), (5, 8)), 'vector'), (((3, 8, 7, 7), (5, 8, 7, 7)), 'map')],
)
def test_rois(shapes, kind):
    layout = find_layout(seen(*shapes))
    assert layout == Layout(kind, per_roi=True)
    assert not layout.spatial


@pytest.mark.parametrize('prefix', [0, 1, 5])
@pytest.mark.parametrize(
    ('stride', 'up'), [(16, True), (14, False), (14, True), (32, True)]
)
@pytest.mark.parametrize('first', [False, True])
def test_tokens_become_a_map(prefix, stride, up, first):
    def grid(size):
        return tuple(-(-s // stride) if up else s // stride for s in size)

    counts = [h * w + prefix for h, w in map(grid, SIZES)]
    shapes = [
        (n, i + 1, 8) if first else (i + 1, n, 8) for i, n in enumerate(counts)
    ]
    layout = find_layout(seen(*shapes))
    assert layout.prefix == prefix
    assert layout.spatial
    size = (128, 192)
    h, w = grid(size)
    tokens = torch.randn(2, h * w + prefix, 8)
    x = tokens.transpose(0, 1) if first else tokens
    feature = layout.to_map(x, size)
    assert feature.shape == (2, 8, h, w)
    torch.testing.assert_close(feature[1, :, 1, 2], tokens[1, prefix + w + 2])
    with pytest.raises(ValueError, match='no grid of'):
        layout.to_map(x[:, :-1] if not first else x[:-1], size)


@pytest.mark.parametrize('up', [False, True])
def test_parts_of_tokens_that_the_dry_run_did_not_see(up):
    # Both of SIZES are multiples of 16.
    layout = find_layout(seen((1, 25, 8), (2, 141, 8)))
    h, w = (6, 8) if up else (5, 7)
    feature = layout.to_map(torch.randn(1, h * w + 1, 8), (90, 125))
    assert feature.shape == (1, 8, h, w)


def test_grid_that_the_module_tells():
    layout = find_layout(seen((1, 35, 8), (2, 77, 8), grids=((5, 7), (7, 11))))
    x = torch.randn(2, 12, 8)
    feature = layout.to_map(x, (1, 1), (3, 4))
    torch.testing.assert_close(feature[:, :, 2, 1], x[:, 9])


def test_tokens_of_several_levels_stay_a_list():
    counts = [
        sum((h // s + (h % s > 0)) * (w // s + (w % s > 0)) for s in (8, 16))
        for h, w in SIZES
    ]
    layout = find_layout(seen((1, counts[0], 8), (2, counts[1], 8)))
    assert layout.kind == 'token list'
    assert not layout.spatial
    x = torch.randn(2, 5, 8)
    assert layout.to_map(x, SIZES[0]).shape == (2, 8, 5, 1)


@pytest.mark.parametrize(
    'shapes',
    [((6, 49, 8), (20, 49, 8)), ((8,), (8,)), ((1, 2, 3, 4, 5),) * 2],
)
def test_no_feature(shapes):
    with pytest.raises(ValueError, match='shapes'):
        find_layout(seen(*shapes))
