import json
import os
import pickle
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from pages import read_page

from mmxdistill.datasets.configured import build_dataset, dataset_configs
from mmxdistill.visualization.contact_sheet import load_sample, load_samples

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/analysis_tools/browse_pairs.py'
)
SIZE = (48, 64)
BOX = (10, 8, 40, 32)  # x1, y1, x2, y2
CONFIG = """
data = dict(
    data_root={root!r},
    modalities=dict(
        rgb=dict(
            path='color/{{stem}}.png',
            pipeline=[dict(type='LoadImageFromFile')],
        ),
        thermal=dict(
            path='thermal/{{stem}}.png',
            pipeline=[dict(type='mmxdistill.LoadGrayImageFromFile')],
        ),
    ),
)
boxes = dict(
    type='mmxdistill.PairedCocoDataset',
    ann_file='ann.json',
    proposal_file='p.pkl',
    metainfo=dict(classes=('box', 'chair')),
    **data,
)
resize = dict(type='Resize', scale=(128, 96), keep_ratio=True)
flip = dict(type='RandomFlip', prob=1.0)
load = [
    dict(type='LoadProposals'),
    dict(type='LoadAnnotations', with_bbox=True),
]
pack = dict(type='PackDetInputs')
train_dataloader = dict(dataset=dict(
    pipeline=[
        *load,
        dict(type='mmxdistill.FastProposalBroadcaster',
             transforms=[resize, flip]),
        pack,
    ],
    **boxes,
))
val_dataloader = dict(dataset=dict(
    pipeline=[
        load[0],
        dict(type='mmxdistill.FastProposalBroadcaster', transforms=[resize]),
        load[1],
        pack,
    ],
    **boxes,
))
test_dataloader = dict(dataset=dict(
    type='mmxdistill.PairedDataset', pipeline=[resize, pack], **data))
"""


@pytest.fixture
def root(tmp_path):
    """Five pairs with a bright object; the best proposal is its box."""
    x1, y1, x2, y2 = BOX
    image = np.full((*SIZE, 3), 60, np.uint8)
    image[y1:y2, x1:x2] = 220
    images, annotations, proposals = [], [], {}
    for folder in ('color', 'thermal'):
        (tmp_path / folder).mkdir()
    for i in range(5):
        cv2.imwrite(str(tmp_path / f'color/{i}.png'), image)
        cv2.imwrite(str(tmp_path / f'thermal/{i}.png'), image[..., 0])
        images.append(dict(id=i, file_name=f'{i}.png', height=48, width=64))
        box = dict(bbox=[x1, y1, x2 - x1, y2 - y1], area=720, iscrowd=0)
        annotations.append(dict(id=2 * i, image_id=i, category_id=2, **box))
        crowd = dict(bbox=[50, 40, 9, 6], area=54, iscrowd=1, category_id=1)
        annotations.append(dict(id=2 * i + 1, image_id=i, **crowd))
        found = np.float32([BOX, (0, 0, 64, 48)])
        proposals[f'color/{i}.png'] = dict(bboxes=found, scores=np.ones(2))
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='box'), dict(id=2, name='chair')],
    )
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(proposals))
    (tmp_path / 'config.py').write_text(CONFIG.format(root=str(tmp_path)))
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys, root):
    def _run(*args, status=0):
        argv = ['browse_pairs.py', *map(str, args), '--out', str(root / 'out')]
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.setattr(sys, 'path', list(sys.path))
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        out, err = capsys.readouterr()
        code = end.value.code
        assert code == status or isinstance(code, str), out + err
        return f'{out}{err}{code}'

    return _run


@pytest.mark.parametrize('split', ['train', 'val'])
def test_boxes_lie_on_the_object(root, split):
    """In a test pipeline, whose boxes are those of the original image, too."""
    (config,) = dataset_configs(root / 'config.py', [split]).values()
    dataset = build_dataset(config, proposals=True)
    sample = load_sample(dataset, 3)
    assert sample.name == '3.png'
    assert list(sample.images) == ['rgb', 'thermal']
    x1, y1, x2, y2 = (2 * value for value in BOX)
    if split == 'train':  # is flipped
        x1, x2 = 128 - x2, 128 - x1
    np.testing.assert_allclose(sample.boxes[0], [x1, y1, x2, y2])
    np.testing.assert_allclose(sample.proposals[0], [x1, y1, x2, y2])
    assert sample.texts == ['chair', 'box']
    assert sample.ignored.tolist() == [False, True]
    for image in sample.images.values():
        assert image.shape == (96, 128, 3)
        bright = image[..., 0] > 140
        assert bright[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].all()
        assert bright.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.1)


@pytest.mark.parametrize(
    'folders, names',
    [
        (['a', 'a'], ['0.png', '1.png']),
        (['day', 'night'], ['day/0.png', 'night/0.png']),
        (['day/x', 'night/x'], ['day/x/0.png', 'night/x/0.png']),
    ],
)
def test_names_differ(folders, names):
    """Files of one name in several folders are shown with these."""
    infos = [
        dict(img_path=f'data/{folder}/{Path(name).name}', img=np.zeros((4, 4)))
        for folder, name in zip(folders, names, strict=True)
    ]

    class Images:
        metainfo: dict = {}
        pipeline = SimpleNamespace(transforms=[])

        def __len__(self):
            return len(infos)

        def get_data_info(self, index):
            return dict(infos[index])

    found = [sample for _, sample in load_samples(Images(), 9)]
    assert [getattr(sample, 'name', sample) for sample in found] == names


def test_pages_of_all_data_sets(root, run):
    said = run(root / 'config.py', '--num', '2')
    assert 'train: 2 of 5 samples' in said
    files = sorted(path.name for path in (root / 'out').iterdir())
    assert files == ['test_001.png', 'train_001.png', 'val_001.png']
    sheet = cv2.imread(str(root / 'out/train_001.png')).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(sheet, axis=0)}
    assert (0, 255, 0) in colours  # object
    assert (0, 165, 255) in colours  # proposal
    sheet = cv2.imread(str(root / 'out/test_001.png')).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(sheet, axis=0)}
    assert (0, 255, 0) not in colours


def test_pages_are_filled(root, run):
    for i in range(5, 19):
        for folder in ('color', 'thermal'):
            path = root / folder / f'{i}.png'
            path.write_bytes((root / folder / '0.png').read_bytes())
    run(root / 'config.py', '--split', 'test', '--num', '18')
    shapes = [
        cv2.imread(str(path)).shape
        for path in sorted((root / 'out').iterdir())
    ]
    # 2 samples a row, 4 rows a page: 8 + 8 + 2.
    assert len(shapes) == 3
    assert shapes[0] == shapes[1]
    assert shapes[2][0] < shapes[0][0] / 2
    assert shapes[2][1] == shapes[0][1]


def test_proposals_are_not_there_yet(root, run):
    (root / 'p.pkl').unlink()
    said = run(root / 'config.py', '--split', 'train', '--num', '2')
    assert 'train: drawn without proposals' in said
    assert (root / 'out/train_001.png').exists()


def test_bad_sample_does_not_stop_the_others(root, run):
    (root / 'thermal/4.png').write_bytes(b'no image')
    said = run(root / 'config.py', '--split', 'val', status=1)
    assert 'sample 4: ' in said
    assert 'thermal/4.png' in said
    assert (root / 'out/val_001.png').exists()


def detections(**instances):
    """A file as tools/test.py --out writes it, of the image 2."""
    found = {key: torch.tensor(value) for key, value in instances.items()}
    return pickle.dumps([dict(img_id=2, pred_instances=found)])


def test_page(root, run):
    """All modalities, objects, and detections moved as the image was."""
    x1, y1, x2, y2 = BOX
    good = dict(bboxes=[[x1, y1, x2, y2]] * 2, labels=[1, 0])
    for name, scores in (('rgb', [0.9, 0.1]), ('fused', [0.8, 0.7])):
        content = detections(**good, scores=scores)
        (root / f'{name}.pkl').write_bytes(content)
    page = root / 'a' / 'page.html'
    run(
        *(root / 'config.py', '--split', 'train', '--num', '5'),
        *('--html', page, '--predictions'),
        *(f'{name}={root / name}.pkl' for name in ('rgb', 'fused')),
    )
    assert not (root / 'out').exists()
    read = read_page(page)
    assert len(read.images) == 10
    assert os.fsencode(root / 'thermal/3.png') in read.files
    assert all(Path(os.fsdecode(path)).is_file() for path in read.files)
    alts = [alt for _, alt in read.images if ' image of 2.png' in alt]
    assert len(alts) == 2
    for alt in alts:
        assert 'proposals: a box, a box; objects: chair' in alt
        assert 'not trained on: box' in alt
        assert 'rgb: chair 0.90; fused: chair 0.80, box 0.70' in alt
    (box,) = {
        tuple(float(one[key]) for key in ('x', 'y', 'width', 'height'))
        for one in read.rects
        if one.get('data-score') == '0.900'
    }
    # Twice as large, and mirrored.
    np.testing.assert_allclose(
        box, [128 - 2 * x2, 2 * y1, 2 * (x2 - x1), 2 * (y2 - y1)]
    )
    assert ['chair', '5', '0'] in read.rows
    assert ['box', '0', '5'] in read.rows


def test_predictions_of_something_else(root, run):
    command = root / 'config.py', '--html', root / 'page.html', '--predictions'
    for content, message in (
        (pickle.dumps([dict(img_id=2)]), 'holds no detections'),
        (detections(bboxes=[], labels=[], scores=[]), None),
        (
            detections(bboxes=[[0, 0, 9, 9]], labels=[7], scores=[0.9]),
            'label 7, the data set has 2 classes',
        ),
        (pickle.dumps([]), r'are of none of the images'),
    ):
        (root / 'x.pkl').write_bytes(content)
        said = run(*command, f'a={root}/x.pkl', '--split', 'val')
        assert message is None or message in said
    assert 'write NAME=FILE' in run(*command, 'x.pkl', status=2)


def test_bad_arguments(root, run):
    assert 'at least 1' in run(root / 'config.py', '--num', '0', status=2)
    assert 'does not exist' in run(root / 'none.py')


@pytest.mark.parametrize(
    'name',
    [
        'supervision_transfer/st_squeezenet_squeezenet_hha_fire9_600_kitchen',
        'supervision_transfer/st_squeezenet_squeezenet_thermal_fire9_600_'
        'roadscene',
        'late_fusion/fusion_squeezenet_rgb-hha_kitchen',
        'late_fusion/fusion_squeezenet_rgb-thermal_roadscene',
    ],
)
def test_real_pairs(data_root, name):
    path = TOOL.parents[2] / f'configs/{name}.py'
    for config in dataset_configs(path).values():
        dataset = build_dataset(config)
        sample = load_sample(dataset, 0)
        height, width = sample.images['rgb'].shape[:2]
        assert len(sample.images) == 2
        if name.startswith('late_fusion'):
            assert len(sample.boxes) == len(sample.texts) > 0
            assert (sample.boxes >= -1).all()
            assert (
                sample.boxes[:, 2:].max(0) <= [width + 1, height + 1]
            ).all()
            assert sample.boxes[:, 2:].max() > 0.3 * width
