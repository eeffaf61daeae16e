import json
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.fileio import load

from mmxdistill.datasets import PairedCocoDataset

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/dataset_converters/generate_proposals.py'
)
SIZES = dict(a=(64, 80), b=(64, 96), c=(48, 64))


@pytest.fixture
def root(tmp_path):
    """Three pairs of images of different sizes, with annotations."""
    for folder in ('color', 'thermal'):
        (tmp_path / folder).mkdir()
        for name, size in SIZES.items():
            path = str(tmp_path / folder / f'{name}.png')
            cv2.imwrite(path, np.zeros((*size, 3), np.uint8))
    images = [
        dict(id=i, file_name=f'{name}.png', height=h, width=w)
        for i, (name, (h, w)) in enumerate(SIZES.items())
    ]
    content = dict(
        images=images, annotations=[], categories=[dict(id=1, name='box')]
    )
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    (tmp_path / 'color' / 'readme.txt').touch()
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    def _run(*args):
        argv = ['generate_proposals.py', *map(str, args), '--processes', '1']
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.setattr(sys, 'path', list(sys.path))
        runpy.run_path(str(TOOL), run_name='__main__')

    return _run


@pytest.mark.parametrize('out', ['p.pkl', 'folder/p.pkl'])
def test_data_set_reads_the_file(root, run, out):
    run(root / out, root / 'color', '--method', 'windows', '--max-num', '300')
    assert [p.name for p in (root / out).parent.glob('*.pkl')] == ['p.pkl']
    data = PairedCocoDataset(
        data_root=str(root),
        ann_file='ann.json',
        metainfo=dict(classes=('box',)),
        modalities=dict(rgb='color/{file_name}', x='thermal/{file_name}'),
        proposal_file=out,
        pipeline=[dict(type='LoadProposals')],
    )
    for i, (height, width) in enumerate(SIZES.values()):
        boxes = data[i]['proposals']
        assert boxes.shape == (300, 4)
        np.testing.assert_array_equal(boxes[0], [0, 0, width, height])
        assert (boxes.max(axis=0)[2:] == [width, height]).all()


def test_proposals_of_two_folders_are_merged(root, run):
    # Windows do not look at the image: the second folder adds nothing.
    run(root / 'one.pkl', root / 'color', '--method', 'windows')
    run(
        root / 'two.pkl',
        root / 'color',
        root / 'thermal',
        '--method',
        'windows',
    )
    one, two = load(root / 'one.pkl'), load(root / 'two.pkl')
    assert list(one) == list(two) == [f'color/{n}.png' for n in SIZES]
    for key, item in one.items():
        np.testing.assert_array_equal(item['bboxes'], two[key]['bboxes'])


@pytest.mark.slow
def test_command_with_two_processes(root, run):
    args = [root / 'color', '--method', 'windows', '--max-num', '50']
    run(root / 'one.pkl', *args)
    command = [sys.executable, TOOL, root / 'two.pkl', *args]
    out = subprocess.run(
        [*command, '--processes', '2'],
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


def test_partner_that_is_missing(root, run):
    (root / 'thermal/b.png').unlink()
    with pytest.raises(ValueError, match=r'thermal/b\.png is missing'):
        run(
            root / 'p.pkl',
            root / 'color',
            root / 'thermal',
            '--method',
            'windows',
        )
    assert not (root / 'p.pkl').exists()


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['p.json', '{root}/color'], 'must end with .pkl'),
        (['p.pkl', '{root}/nothing'], 'nothing is no folder'),
    ],
)
def test_bad_arguments(root, run, capsys, args, message):
    with pytest.raises(SystemExit):
        run(*[arg.format(root=root) for arg in args])
    assert message in capsys.readouterr().err


def test_folder_without_images(root, run):
    (root / 'empty').mkdir()
    with pytest.raises(SystemExit, match='empty holds no images'):
        run(root / 'p.pkl', root / 'empty')
