import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.evaluation import bbox_overlaps
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.runner import Runner

sys.path.insert(0, str(Path(__file__).parent))

from converters import TOOLS, runner
from warm_python import warm_python

from mmxdistill.datasets import PairedCocoDataset

SIZES = dict(a=(64, 80), b=(64, 96), c=(48, 64))
CONFIG = """
data = dict(
    type='mmxdistill.PairedCocoDataset',
    data_root={root!r},
    metainfo=dict(classes=('box',)),
    modalities=dict(
        rgb=dict(
            path='color/{{file_name}}',
            pipeline=[dict(type='LoadImageFromFile')],
        ),
        depth=dict(
            path='depth/{{file_name}}',
            pipeline=[
                dict(type='mmxdistill.LoadDepthFromFile'),
                dict(type='mmxdistill.EncodeDisparity'),
            ],
        ),
        raw=dict(
            path='depth/{{file_name}}',
            pipeline=[dict(type='mmxdistill.LoadDepthFromFile')],
        ),
    ),
    use=['rgb', 'depth'],
    proposal_file='p.pkl',
    filter_cfg=dict(filter_empty_gt=True),
)
train_dataloader = dict(dataset=dict(ann_file='train.json', **data))
val_dataloader = dict(dataset=dict(ann_file='test.json', **data))
test_dataloader = val_dataloader
"""
STOCK = """
data = dict(
    type='CocoDataset',
    data_root={root!r},
    metainfo=dict(classes=('box',)),
    pipeline=[dict(type='LoadImageFromFile')],
)
train_dataloader = dict(
    dataset=dict(
        ann_file='x.json', data_prefix=dict(img='x/color'), **data
    )
)
val_dataloader = dict(
    dataset=dict(
        ann_file='y.json', data_prefix=dict(img='y/color'), **data
    )
)
"""
VIDEOS = """
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='mmxdistill.PairedCocoDataset',
        data_root={root!r},
        ann_file='videos.json',
        metainfo=dict(classes=('box',)),
        modalities=dict(
            rgb=dict(
                path='{{file_name}}',
                pipeline=[dict(type='LoadImageFromFile')],
            ),
            thermal=dict(
                path='{{lwir}}',
                pipeline=[dict(type='mmxdistill.LoadGrayImageFromFile')],
            ),
        ),
        proposal_file='p.pkl',
        pipeline=[
            dict(type='LoadProposals', num_max_proposals=40),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=('img_path', 'img_shape'),
            ),
        ],
    ),
)
"""
contrib = pytest.mark.skipif(
    not hasattr(cv2, 'ximgproc'), reason='this OpenCV has no contrib modules'
)
WINDOWS = ('--method', 'windows')
# What only the depth images show.
HIDDEN = (20, 16, 52, 40)


def write_annotations(path, names):
    images = [
        dict(id=i, file_name=f'{n}.png', height=SIZES[n][0], width=SIZES[n][1])
        for i, n in enumerate(names)
    ]
    content = dict(
        images=images, annotations=[], categories=[dict(id=1, name='box')]
    )
    path.write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path):
    """Three scenes of different sizes, with annotations and a config."""
    for folder in ('color', 'depth', 'thermal'):
        (tmp_path / folder).mkdir()
    x1, y1, x2, y2 = HIDDEN
    for name, size in SIZES.items():
        grey = np.full((*size, 3), 90, np.uint8)
        depth = np.full(size, 3000, np.uint16)
        depth[y1:y2, x1:x2] = 1500
        cv2.imwrite(str(tmp_path / f'color/{name}.png'), grey)
        cv2.imwrite(str(tmp_path / f'thermal/{name}.png'), grey)
        cv2.imwrite(str(tmp_path / f'depth/{name}.png'), depth)
    write_annotations(tmp_path / 'train.json', 'ab')
    write_annotations(tmp_path / 'test.json', 'c')
    (tmp_path / 'color' / 'readme.txt').touch()
    (tmp_path / 'config.py').write_text(CONFIG.format(root=str(tmp_path)))
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the tool; returns what it printed and says."""

    tool = runner('generate_proposals', monkeypatch)

    def _run(*args, status=0):
        capsys.readouterr()
        code = tool(*args)
        out, err = capsys.readouterr()
        message = code if isinstance(code, str) else ''
        assert code == (message or status), (out, err)
        return out + err + message

    return _run


def paired(root, out, ann_file):
    return PairedCocoDataset(
        data_root=str(root),
        ann_file=ann_file,
        metainfo=dict(classes=('box',)),
        modalities=dict(rgb='color/{file_name}', x='thermal/{file_name}'),
        proposal_file=out,
        pipeline=[dict(type='LoadProposals')],
    )


def best_overlap(boxes, box=HIDDEN):
    return bbox_overlaps(
        np.float32([box]), boxes, use_legacy_coordinate=False
    ).max()


@pytest.mark.parametrize('out', ['p.pkl', 'folder/p.pkl'])
@pytest.mark.parametrize('source', ['color', 'config.py'])
def test_data_set_reads_the_file(root, run, out, source):
    said = run(root / out, root / source, *WINDOWS, '--max-num', '300')
    assert '3 images, 300 proposals per image' in said
    for ann_file, names in (('train.json', 'ab'), ('test.json', 'c')):
        data = paired(root, out, ann_file)
        for i, name in enumerate(names):
            height, width = SIZES[name]
            boxes = data[i]['proposals']
            assert boxes.shape == (300, 4)
            np.testing.assert_array_equal(boxes[0], [0, 0, width, height])
            assert (boxes.max(axis=0)[2:] == [width, height]).all()
            scores = data[i]['proposals_scores']
            assert (np.diff(scores) < 0).all()


def test_proposals_of_two_folders_are_merged(root, run):
    # Windows do not look at the image: the second folder adds nothing.
    run(root / 'one.pkl', root / 'color', *WINDOWS)
    run(root / 'two.pkl', root / 'color', root / 'thermal', *WINDOWS)
    one, two = load(root / 'one.pkl'), load(root / 'two.pkl')
    assert list(one) == list(two) == [f'color/{n}.png' for n in SIZES]
    for key, item in one.items():
        np.testing.assert_array_equal(item['bboxes'], two[key]['bboxes'])


def test_partner_of_another_format(root, run):
    for path in (root / 'thermal').iterdir():
        cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path)))
        path.unlink()
    run(root / 'p.pkl', root / 'color', root / 'thermal', *WINDOWS)
    assert len(load(root / 'p.pkl')) == 3


@contrib
@pytest.mark.parametrize('method', ['selective_search', 'edge_boxes'])
def test_modalities_of_a_config_are_united(root, run, method):
    found = {}
    for names in (['rgb'], ['depth'], ['rgb', 'depth']):
        out = root / f'{"-".join(names)}.pkl'
        args = ['--modalities', *names, '--method', method]
        run(out, root / 'config.py', *args, '--split', 'train')
        found[tuple(names)] = load(out)['color/a.png']['bboxes']
        assert list(load(out)) == ['color/a.png', 'color/b.png']
    rgb, depth, both = found.values()
    assert len(rgb) <= 1
    # EdgeBoxes searches in steps of 0.65 IoU.
    assert best_overlap(depth) > 0.7
    assert best_overlap(both) > 0.7
    overlaps = bbox_overlaps(both, both, use_legacy_coordinate=False)
    np.fill_diagonal(overlaps, 0)
    assert overlaps.max() <= 0.9


@contrib
def test_methods_are_united_and_repeat(root, run):
    args = [root / 'config.py', '--modalities', 'depth', '--max-num', '50']
    methods = ('selective_search', 'edge_boxes', 'windows')
    for out in ('one.pkl', 'two.pkl'):
        run(root / out, *args, '--method', *methods)
    one, two = load(root / 'one.pkl'), load(root / 'two.pkl')
    for key, item in one.items():
        assert item['bboxes'].shape == (50, 4)
        np.testing.assert_array_equal(item['bboxes'], two[key]['bboxes'])


def test_equal_names_in_folders_of_equal_names(root, run):
    """A data set of videos: each image is trained on its own boxes."""
    names = [f'set00/V00{i}/visible/I00000.jpg' for i in (0, 1)]
    records = []
    for number, name in enumerate(names, 1):
        size = SIZES['ab'[number - 1]]
        for path in (name, name.replace('visible', 'lwir')):
            (root / path).parent.mkdir(parents=True)
            cv2.imwrite(str(root / path), np.full((*size, 3), 90, np.uint8))
        height, width = size
        records.append(
            dict(id=number, file_name=name, height=height, width=width)
        )
    for record in records:
        record['lwir'] = record['file_name'].replace('visible', 'lwir')
    boxes = [
        dict(id=i, image_id=i, category_id=1, bbox=[1, 1, 30, 30], area=900)
        for i in (1, 2)
    ]
    categories = [dict(id=1, name='box')]
    content = dict(images=records, annotations=boxes, categories=categories)
    (root / 'videos.json').write_text(json.dumps(content))
    (root / 'videos.py').write_text(VIDEOS.format(root=str(root)))
    run(root / 'p.pkl', root / 'videos.py', *WINDOWS, '--max-num', '40')
    found = load(root / 'p.pkl')
    assert list(found) == [name.partition('/')[2] for name in names]
    cfg = Config.fromfile(root / 'videos.py')
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    assert len(batch['data_samples']) == 2
    for sample in batch['data_samples']:
        path = sample.img_path
        (name,) = [key for key in found if path.endswith(f'/{key}')]
        read = sample.proposals.bboxes.numpy()
        np.testing.assert_array_equal(read, found[name]['bboxes'])
        height, width = sample.img_shape
        assert read.max(axis=0)[2:].tolist() == [width, height]


@pytest.mark.slow
def test_command_with_two_processes(root, run):
    args = [root / 'config.py', *WINDOWS, '--max-num', '50']
    run(root / 'one.pkl', *args)
    command = [
        warm_python(),
        TOOLS / 'generate_proposals.py',
        root / 'two.pkl',
        *args,
    ]
    out = subprocess.run(
        [*command, '--jobs', '2'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '3 images, 50 proposals per image' in out.stdout
    one, two = load(root / 'one.pkl'), load(root / 'two.pkl')
    assert list(one) == list(two)
    for key, item in one.items():
        np.testing.assert_array_equal(item['bboxes'], two[key]['bboxes'])
        np.testing.assert_array_equal(item['scores'], two[key]['scores'])


class TestResume:
    def test_goes_on_after_a_bad_image(self, root, run):
        args = [root / 'p.pkl', root / 'color', root / 'thermal', *WINDOWS]
        image = (root / 'thermal/b.png').read_bytes()
        (root / 'thermal/b.png').unlink()
        said = run(*args, status=1)
        assert '2 written, 0 already there, 1 failed' in said
        assert 'thermal/b.png' in said
        assert '1 of 3 images have no proposals yet' in said
        assert not (root / 'p.pkl').exists()
        (root / 'thermal/b.png').write_bytes(image)
        assert '1 written, 2 already there, 0 failed' in run(*args)
        assert len(load(root / 'p.pkl')) == 3
        assert '0 written, 3 already there' in run(*args)

    def test_images_that_were_added(self, root, run):
        args = [root / 'p.pkl', root / 'color', *WINDOWS]
        run(*args)
        cv2.imwrite(str(root / 'color/d.png'), np.zeros((30, 40, 3), np.uint8))
        assert '1 written, 3 already there' in run(*args)
        assert len(load(root / 'p.pkl')) == 4

    def test_shards(self, root, run):
        args = [root / 'config.py', *WINDOWS, '--max-num', '9']
        run(root / 'one.pkl', *args)
        out = root / 'two.pkl'
        assert '1 of 3 images' in run(out, *args, '--shard', '1/2')
        assert not out.exists()
        assert '1 written' in run(out, *args, '--shard', '2/2')
        assert out.read_bytes() == (root / 'one.pkl').read_bytes()

    def test_other_settings(self, root, run):
        args = [root / 'p.pkl', root / 'color', *WINDOWS]
        run(*args, '--max-num', '9')
        said = run(*args, '--max-num', '8')
        assert 'give --overwrite' in said
        assert len(load(root / 'p.pkl')['color/a.png']['bboxes']) == 9
        said = run(*args, '--max-num', '8', '--overwrite')
        assert '3 written' in said
        assert len(load(root / 'p.pkl')['color/a.png']['bboxes']) == 8

    def test_file_from_elsewhere_is_kept(self, root, run):
        (root / 'p.pkl').write_bytes(pickle.dumps({}))
        args = [root / 'p.pkl', root / 'color', *WINDOWS]
        assert 'how it was made is not known' in run(*args)
        assert load(root / 'p.pkl') == {}
        run(*args, '--overwrite')
        assert len(load(root / 'p.pkl')) == 3


class TestBadInput:
    def test_sixteen_bits(self, root, run):
        said = run(root / 'p.pkl', root / 'depth', *WINDOWS, status=1)
        assert 'more than 8 bits' in said
        assert '3 failed' in said

    def test_sizes_that_differ(self, root, run):
        cv2.imwrite(str(root / 'thermal/a.png'), np.zeros((9, 9), np.uint8))
        args = [root / 'color', root / 'thermal', *WINDOWS]
        said = run(root / 'p.pkl', *args, status=1)
        assert 'must have the same size' in said
        assert '2 written, 0 already there, 1 failed' in said

    def test_two_images_of_one_name(self, root, run):
        for folder in ('x/color', 'y/color'):
            (root / 'all' / folder).mkdir(parents=True)
            cv2.imwrite(
                str(root / 'all' / folder / '0.png'),
                np.zeros((9, 9), np.uint8),
            )
        run(root / 'p.pkl', root / 'all', *WINDOWS)
        # More of the path than mmdet looks at, where it takes more.
        assert set(load(root / 'p.pkl')) == {'x/color/0.png', 'y/color/0.png'}

    def test_two_images_of_one_name_to_a_stock_data_set(self, root, run):
        for split in 'xy':
            (root / split / 'color').mkdir(parents=True)
            (root / split / 'color/a.png').hardlink_to(root / 'color/a.png')
            write_annotations(root / f'{split}.json', 'a')
        config = root / 'stock.py'
        config.write_text(STOCK.format(root=str(root)))
        said = run(root / 'p.pkl', config, *WINDOWS)
        assert 'have the same name (color/a.png) to the CocoDataset' in said
        assert f"'{root}/x/color/a.png' and '{root}/y/color/a.png'" in said

    def test_opencv_without_contrib(self, root, run, monkeypatch):
        monkeypatch.delattr(cv2, 'ximgproc', raising=False)
        said = run(root / 'p.pkl', root / 'color')
        assert said.count('opencv-contrib-python') == 1
        assert not (root / 'p.parts').exists()

    @contrib
    def test_edge_model(self, root, run):
        (root / 'm.yml').write_text('hello')
        args = [root / 'p.pkl', root / 'color', '--method', 'edge_boxes']
        said = run(*args, '--edge-model', root / 'm.yml')
        assert said.count('no model of structured edges') == 1
        assert 'does not exist' in run(*args, '--edge-model', root / 'none')

    def test_unknown_modality(self, root, run):
        args = [root / 'config.py', '--modalities', 'rgb', 'hha']
        said = run(root / 'p.pkl', *args, *WINDOWS)
        assert "no modalities ['hha'], only ['rgb', 'depth', 'raw']" in said

    def test_folder_without_images(self, root, run):
        (root / 'empty').mkdir()
        said = run(root / 'p.pkl', root / 'empty', *WINDOWS)
        assert "empty' holds no images" in said
        said = run(root / 'p.pkl', root / 'nothing', *WINDOWS)
        assert "nothing' is no folder" in said

    @pytest.mark.parametrize(
        ('args', 'message'),
        [
            (['p.json', 'color'], 'must end with .pkl'),
            (['p.pkl', 'a.py', 'color'], 'give one config, or folders'),
            (['p.pkl', 'color', '--modalities', 'x'], 'is for a config'),
            (['p.pkl', 'color', '--max-iou', '0'], 'must be above 0'),
            (['p.pkl', 'color', '--max-num', '0'], 'must be at least 1'),
            (['p.pkl', 'color', '--edge-model', 'm'], 'is for --method'),
        ],
    )
    def test_arguments(self, run, args, message):
        assert message in run(*args, status=2)
