import json
import pickle
import re
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.structures import InstanceData

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/analysis_tools/proposal_recall.py'
)
CONFIG = """
data = dict(
    type='CocoDataset',
    data_root={root!r},
    data_prefix=dict(img='color/'),
    metainfo=dict(classes=('box', 'chair')),
)
train_dataloader = dict(dataset=dict(
    type='RepeatDataset', times=2,
    dataset=dict(ann_file='train.json', proposal_file='p.pkl', **data)))
val_dataloader = dict(dataset=dict(ann_file='test.json', **data))
test_dataloader = val_dataloader
"""
BOXES = dict(
    train={'a.png': [(1, [0, 0, 10, 10]), (2, [40, 40, 20, 20])]},
    test={'b.png': [(1, [0, 0, 10, 10])], 'empty.png': []},
)


@pytest.fixture
def root(tmp_path):
    """Two labelled images; the best proposal finds the first object."""
    for split, images in BOXES.items():
        annotations = []
        for image_id, objects in enumerate(images.values()):
            annotations += [
                dict(image_id=image_id, category_id=c, bbox=b, iscrowd=0)
                for c, b in objects
            ]
        # Two that are no objects to find.
        for extra in (dict(iscrowd=1), dict(iscrowd=0, ignore=1)):
            box = dict(image_id=0, category_id=1, bbox=[60, 0, 9, 9])
            annotations.append({**box, **extra})
        content = dict(
            images=[
                dict(id=i, file_name=name, width=80, height=80)
                for i, name in enumerate(images)
            ],
            annotations=[
                dict(id=i, area=a['bbox'][2] * a['bbox'][3], **a)
                for i, a in enumerate(annotations)
            ],
            categories=[dict(id=1, name='box'), dict(id=2, name='chair')],
        )
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    proposals = {
        f'color/{name}': dict(
            bboxes=np.float32([[0, 0, 10, 10]] + [[70, 70, 75, 75]] * 9),
            scores=np.linspace(1, 0, 10),
        )
        for name in ('a.png', 'b.png')
    }
    late = np.float32([[70, 70, 75, 75]] * 10 + [[40, 40, 60, 60]])
    proposals['color/a.png'] = dict(bboxes=late, scores=np.ones(11))
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(proposals))
    # As mmdet's DumpProposals writes it.
    instances = {k: InstanceData(**v) for k, v in proposals.items()}
    instances['color/a.png'] = InstanceData(
        bboxes=late[-1:], scores=np.ones(1)
    )
    (tmp_path / 'q.pkl').write_bytes(pickle.dumps(instances))
    (tmp_path / 'config.py').write_text(CONFIG.format(root=str(tmp_path)))
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys):
    def _run(*args):
        argv = ['proposal_recall.py', *map(str, args), '--jobs', '1']
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.setattr(sys, 'path', list(sys.path))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOL), run_name='__main__')
        if end.value.code:
            raise end.value
        return capsys.readouterr().out

    return _run


def tables(text):
    """Threshold and name of the row -> objects and recalls, by section."""
    found, section = {}, {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split('|')[1:-1]]
        if match := re.match(r'(.+): (\d+) objects in (\d+) images', line):
            section = found.setdefault(match[1], {})
        elif cells and cells[0].startswith('IoU'):
            threshold = float(cells[0].split()[1])
        elif cells and cells[1].isdigit():
            section[threshold, cells[0]] = [int(cells[1]), *cells[2:]]
    return found


def test_proposals_of_the_config(root, run):
    (found,) = tables(run(root / 'config.py', '--split', 'train')).values()
    # The 11th box is the chair: found by 20 proposals, not by 10.
    assert found[0.5, 'all'] == [2, '0.0', *['50.0'] * 7]
    assert found[0.5, 'box'] == [1, *['0.0'] * 8]
    assert found[0.7, 'chair'] == [1, '0.0', *['100.0'] * 7]


def test_files_compared_on_several_splits(root, run):
    text = run(
        root / 'config.py',
        '--split',
        'train',
        'test',
        '--proposals',
        root / 'p.pkl',
        f'dumped={root / "q.pkl"}',
        '--plot',
        root / 'plots/r.png',
    )
    found = tables(text)
    assert list(found) == ['p', 'dumped']
    assert found['p'][0.5, 'all'] == [3, '33.3', *['66.7'] * 7]
    assert found['dumped'][0.5, 'all'] == [3, *['66.7'] * 8]
    assert found['dumped'][0.5, 'box'] == [2, *['50.0'] * 8]
    assert cv2.imread(str(root / 'plots/r.png')).shape[0] > 200


def test_annotation_file(root, run):
    """The folder of the images is not known."""
    text = run(root / 'test.json', '--proposals', f'p={root / "p.pkl"}')
    assert tables(text)['p'][0.7, 'all'] == [1, *['100.0'] * 8]
    proposals = pickle.loads((root / 'p.pkl').read_bytes())
    proposals['depth/b.png'] = proposals['color/b.png']
    (root / 'p.pkl').write_bytes(pickle.dumps(proposals))
    with pytest.raises(SystemExit, match=r"no proposals for 1 .*\['b\.png'\]"):
        run(root / 'test.json', '--proposals', root / 'p.pkl')


def test_images_without_proposals_are_named(root, run):
    proposals = pickle.loads((root / 'p.pkl').read_bytes())
    del proposals['color/a.png']
    (root / 'p.pkl').write_bytes(pickle.dumps(proposals))
    with pytest.raises(SystemExit, match=r"for 1 of 1 .*\['color/a\.png'\]"):
        run(root / 'config.py', '--split', 'train')
    proposals['color/a.png'] = 'boxes'
    (root / 'p.pkl').write_bytes(pickle.dumps(proposals))
    with pytest.raises(SystemExit, match=r"color/a\.png': a str instead"):
        run(root / 'config.py', '--split', 'train')


def test_data_set_without_objects(root, run):
    content = json.loads((root / 'test.json').read_text())
    content['annotations'] = []
    (root / 'test.json').write_text(json.dumps(content))
    with pytest.raises(SystemExit, match='no image has an object'):
        run(root / 'config.py', '--proposals', root / 'p.pkl')


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['config.py'], 'has no proposal_file'),
        (['config.py', '--proposals', 'none.pkl'], 'none.pkl.* not exist'),
        (['none.py'], 'none.py.* not exist'),
        (['p.pkl'], 'neither a config'),
        (['test.json'], 'needs --proposals'),
        (['config.py', '--proposals', 'p.pkl', 'x/p.pkl'], "called 'p'"),
        (['list.json', '--proposals', 'p.pkl'], 'no COCO annotation file'),
    ],
)
def test_bad_arguments(root, run, capsys, monkeypatch, args, message):
    monkeypatch.chdir(root)
    (root / 'list.json').write_text('[]')
    with pytest.raises(SystemExit) as end:
        run(*args)
    assert re.search(message, f'{end.value.code}{capsys.readouterr().err}')
