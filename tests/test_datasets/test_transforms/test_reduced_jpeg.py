"""Whatever is decoded at a reduced size is what the files hold, smoother."""

import copy
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmxdistill.datasets import PairedDataset
from mmxdistill.datasets.repeatable import describe_loading
from mmxdistill.registry import MODELS, TRANSFORMS

COLOUR = dict(type='LoadImageFromFile')
GREY = dict(type='mmxdistill.LoadGrayImageFromFile', channels=1)
MODALITIES = dict(rgb=[COLOUR], x=[GREY])
# On ramps smoothing changes nothing, but a shift by one pixel of a file shows
# as 0.6 grey levels everywhere.
GREY_LEVELS, MEAN_LEVELS = 4.0, 0.15


def ramps(height, width):
    """Channels that tell the column, the row and both."""
    y, x = np.mgrid[:height, :width]
    x, y = x / (width - 1), y / (height - 1)
    return np.uint8(np.rint(255 * np.stack([x, y, (x + 2 * y) / 3], axis=2)))


def write_pair(folder, size, orientation=1, grey_size=None):
    """A colour and a grey JPEG, stored as a camera that is turned does."""
    exif = Image.Exif()
    exif[274] = orientation
    paths = {name: str(folder / f'{name}.jpg') for name in MODALITIES}
    Image.fromarray(ramps(*size)).save(paths['rgb'], quality=97, exif=exif)
    grey = Image.fromarray(ramps(*(grey_size or size))[..., 2])
    grey.save(paths['x'], quality=97, exif=exif)
    return paths


def load(paths, reduced, steps, seed=0, modalities=MODALITIES, **keys):
    """A packed sample with boxes, proposals and masks in pixels of files."""
    np.random.seed(seed)
    box = [3.0, 5.0, 90.0, 61.0]
    sample = dict(
        img_path=paths['rgb'],
        modality_paths=dict(paths),
        instances=[dict(bbox=box, bbox_label=0, ignore_flag=0)],
        proposals=dict(
            bboxes=np.array([box, [0, 0, 200, 150]], np.float32),
            scores=np.ones(2, np.float32),
        ),
        **keys,
    )
    pipeline = [
        dict(
            type='mmxdistill.LoadModalities',
            modalities=modalities,
            reduced_jpeg=reduced,
        ),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='LoadProposals'),
        dict(type='mmxdistill.FastProposalBroadcaster', transforms=steps),
        dict(
            type='PackDetInputs',
            meta_keys=(
                *('ori_shape', 'img_shape', 'scale_factor', 'flip'),
                *('homography_matrix', 'modality_channels', 'img_path'),
            ),
        ),
    ]
    return Compose([TRANSFORMS.build(copy.deepcopy(s)) for s in pipeline])(
        sample
    )


def finished(packed):
    model = MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=dict(rgb=dict(mean=[0.0] * 3), x=dict(mean=[0.0])),
        )
    )
    out = model(pseudo_collate([copy.deepcopy(packed)]), True)
    return out['inputs'][0].numpy(), out['data_samples'][0]


def resize(scale, on_device=False, max_size=2000):
    return dict(
        type='mmxdistill.CaffeResize',
        scale=scale,
        max_size=max_size,
        on_device=on_device,
    )


def flip(direction):
    if direction is None:
        return []
    return [dict(type='RandomFlip', prob=1.0, direction=direction)]


@pytest.fixture
def steps_of(monkeypatch):
    """At what part of its size each file was decoded."""
    from mmxdistill.datasets.transforms import reduced_jpeg

    steps = []
    decode = reduced_jpeg.JpegFile.decode

    def noted(self, step):
        steps.append(step)
        return decode(self, step)

    monkeypatch.setattr(reduced_jpeg.JpegFile, 'decode', noted)
    return steps


def same_but_smoother(full, reduced, boxes=('gt_instances', 'proposals')):
    (a, b), (p, q) = zip(finished(full), finished(reduced), strict=True)
    assert a.shape == b.shape
    np.testing.assert_allclose(b, a, rtol=0, atol=GREY_LEVELS)
    assert np.abs((b - a).mean((1, 2))).max() < MEAN_LEVELS
    for key in p.metainfo_keys():
        assert np.array_equal(p.metainfo[key], q.metainfo[key]), key
    for kind in boxes:
        x, y = p.get(kind).bboxes, q.get(kind).bboxes
        assert torch.equal(torch.as_tensor(x), torch.as_tensor(y))


@pytest.mark.parametrize('on_device', [False, True])
@pytest.mark.parametrize('direction', [None, 'horizontal', 'diagonal'])
@pytest.mark.parametrize(
    ('orientation', 'size', 'scale', 'step'),
    [
        (1, (301, 403), 150, 2),
        (1, (304, 400), 76, 4),  # exactly a quarter
        (1, (301, 403), 75, 2),  # nearly
        (1, (303, 405), 37, 8),
        (2, (303, 405), 75, 4),
        (3, (303, 405), 75, 4),
        (4, (303, 405), 140, 2),
        (5, (303, 405), 75, 4),
        (6, (303, 405), 75, 4),
        (7, (303, 405), 75, 4),
        (8, (303, 405), 140, 2),
    ],
)
def test_pixels_boxes_and_sizes_are_those_of_the_file(
    tmp_path, steps_of, orientation, size, scale, step, direction, on_device
):
    paths = write_pair(tmp_path, size, orientation)
    steps = [*flip(direction), resize(scale, on_device)]
    full, reduced = (load(paths, on, steps) for on in (False, True))
    assert steps_of == [step, step]
    meta = reduced['data_samples'].metainfo
    turned = size[::-1] if orientation > 4 else size
    assert meta['ori_shape'] == turned
    assert ('device_resize' in meta) == on_device
    if on_device:
        sent = tuple(-(-side // step) for side in turned)
        assert reduced['inputs'].shape == (4, *sent)
    same_but_smoother(full, reduced)


@pytest.mark.parametrize(('scale', 'longest'), [(151, 2000), (403, 450)])
def test_never_smaller_than_what_is_needed(tmp_path, steps_of, scale, longest):
    """Then it is the same, bit by bit."""
    paths = write_pair(tmp_path, (301, 403))
    steps = [*flip('horizontal'), resize(scale, max_size=longest)]
    full, reduced = (load(paths, on, steps) for on in (False, True))
    assert steps_of == [1, 1]
    assert torch.equal(full['inputs'], reduced['inputs'])


def test_the_longest_side_decides_as_well(tmp_path, steps_of):
    paths = write_pair(tmp_path, (301, 403))
    steps = [resize(600, max_size=100)]
    full, reduced = (load(paths, on, steps) for on in (False, True))
    assert steps_of == [4, 4]
    same_but_smoother(full, reduced)


def test_images_of_one_batch_on_the_device(tmp_path):
    """Reduced to one size, but not from files of one size."""
    samples = []
    for size in ((301, 403), (302, 404)):
        folder = tmp_path / str(size[0])
        folder.mkdir()
        paths = write_pair(folder, size)
        samples.append(load(paths, True, [resize(120, True)]))
    model = MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=dict(rgb=dict(mean=[0.0] * 3), x=dict(mean=[0.0])),
        )
    )
    both = model(pseudo_collate(copy.deepcopy(samples)), True)['inputs']
    for packed, together in zip(samples, both, strict=True):
        alone, _ = finished(packed)
        h, w = alone.shape[1:]
        np.testing.assert_allclose(together[:, :h, :w], alone, atol=1e-3)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('kind', ['png', 'memory'])
def test_others_are_decoded_in_full(tmp_path, kind):
    paths = write_pair(tmp_path, (301, 403))
    keys = {}
    if kind == 'memory':
        keys = dict(
            modality_images={
                'rgb': cv2.imread(paths['rgb']),
                'x': cv2.imread(paths['x'], 0),
            }
        )
    else:
        paths['x'] = str(tmp_path / 'x.png')
        cv2.imwrite(paths['x'], ramps(301, 403)[..., 2])
    steps = [*flip('horizontal'), resize(75)]
    full = load(paths, False, steps, **keys)
    if kind == 'png':
        with pytest.warns(UserWarning, match=r"'x' that are no JPEG"):
            found = load(paths, True, steps, **keys)
    else:
        found = load(paths, True, steps, **keys)
    assert torch.equal(full['inputs'], found['inputs'])
    assert found['data_samples'].ori_shape == (301, 403)


def test_bad_pairs_are_named(tmp_path):
    paths = write_pair(tmp_path, (301, 403), grey_size=(302, 403))
    with pytest.raises(ValueError, match=r"x\.jpg' is 403x302"):
        load(paths, True, [resize(75)])
    paths = write_pair(tmp_path, (301, 403))
    with pytest.raises(ValueError, match=r"rgb\.jpg' is 403x301.*800x602"):
        load(paths, True, [resize(75)], width=800, height=602)
    content = (tmp_path / 'x.jpg').read_bytes()
    (tmp_path / 'x.jpg').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"x\.jpg'.*truncated"):
        load(paths, True, [resize(75)])
    (tmp_path / 'x.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r"x\.jpg' does not exist"):
        load(paths, True, [resize(75)])


BEFORE = [
    dict(type='Resize', scale=(100, 75), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(50, 50)),
    dict(type='Rotate', prob=1.0, level=5, min_mag=20.0),
    dict(type='mmxdistill.Pad', size=(500, 500)),
    dict(type='CutOut', n_holes=1, cutout_shape=(4, 4)),
]


@pytest.mark.parametrize('step', BEFORE, ids=lambda step: step['type'])
@pytest.mark.parametrize('names', [('rgb', 'x'), ('rgb',)])
def test_what_needs_pixels_is_refused_by_name(tmp_path, step, names):
    paths = write_pair(tmp_path, (301, 403))
    modalities = {name: MODALITIES[name] for name in names}
    for steps in ([step], [step, resize(75)]):
        with pytest.raises((TypeError, AttributeError)) as error:
            load(paths, True, steps, modalities=modalities)
        assert 'rgb.jpg' in str(error.value)
        assert 'only flips may come before' in str(error.value)
    with pytest.raises(AttributeError, match='only flips may come before'):
        load(paths, True, [], modalities=modalities)


@pytest.mark.parametrize(
    'pipeline',
    [
        [
            dict(type='mmxdistill.LoadDepthFromFile'),
            dict(type='mmxdistill.EncodeHHA', camera='kitchen'),
        ],
        [dict(type='mmxdistill.LoadDepthFromFile')],
        [COLOUR, dict(type='PhotoMetricDistortion')],
        [dict(COLOUR, color_type='unchanged')],
        [dict(COLOUR, imdecode_backend='pillow')],
        [GREY, dict(type='mmxdistill.ResizeToReference')],
    ],
)
def test_modalities_that_cannot_be_reduced(pipeline):
    with pytest.raises(ValueError, match=r"modality 'x' must be loaded by"):
        TRANSFORMS.build(
            dict(
                type='mmxdistill.LoadModalities',
                modalities=dict(rgb=[COLOUR], x=pipeline),
                reduced_jpeg=True,
            )
        )


def test_data_set(tmp_path, steps_of):
    """Checks look at whole files; worker processes get a copy."""
    write_pair(tmp_path, (301, 403))
    settings = dict(
        data_root=str(tmp_path),
        modalities=dict(
            rgb=dict(path='rgb.jpg', pipeline=[COLOUR]),
            x=dict(path='x.jpg', pipeline=[GREY]),
        ),
        pipeline=[
            resize(75),
            dict(
                type='PackDetInputs',
                meta_keys=(
                    *('img_path', 'ori_shape', 'img_shape', 'scale_factor'),
                    *('flip', 'flip_direction', 'modality_paths'),
                ),
            ),
        ],
    )
    (tmp_path / 'list.txt').write_text('rgb.jpg\n')
    full, reduced = (
        PairedDataset('list.txt', reduced_jpeg=on, **copy.deepcopy(settings))
        for on in (False, True)
    )
    packed = pickle.loads(pickle.dumps(reduced))[0]
    # A quarter is 76 x 101, of which OpenCV would make the same by 0.997.
    assert steps_of == [2, 2]
    same_but_smoother(full[0], packed, boxes=())
    # Kept features of a teacher are not those of other pixels.
    assert describe_loading(full, ['rgb']) != describe_loading(
        reduced, ['rgb']
    )
    with pytest.raises(ValueError, match='reduced_jpeg=True is for modal'):
        PairedDataset(modalities=dict(rgb='rgb.jpg'), reduced_jpeg=True)
