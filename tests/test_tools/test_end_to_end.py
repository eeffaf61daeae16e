"""The main job with the real tools and configs, on tiny data.

Each tool runs in a process of its own, ``train.py`` and ``test.py`` once with
all that starting takes; bad input is shown to them inside this process.
"""

import logging
import pickle
import runpy
import shutil
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import IterBasedTrainLoop
from torch.utils.data import DataLoader
from warm_python import warm_python

from mmxdistill.engine.hooks import TransferCalibrationHook
from mmxdistill.registry import DATASETS, MODELS

# Several runners in one process share what mmengine keeps by name.
pytestmark = pytest.mark.filterwarnings('ignore:.*has been created')

RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
TRANSFER = (
    'supervision_transfer/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
)
SCRATCH = 'fast_rcnn/fast_rcnn_caffenet-s_hha_random_*_synthetic.py'
HHA = 'fast_rcnn/fast_rcnn_caffenet-s_hha_st_*_synthetic.py'
FUSION = 'late_fusion/fusion_caffenet-s_rgb-hha_synthetic.py'
LAST = 'iter_6.pth'


def load(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def assert_same(a, b, key=''):
    """Nested values are equal, tensors bit for bit."""
    assert type(a) is type(b), key
    if isinstance(a, dict):
        assert a.keys() == b.keys(), key
        for name in a:
            assert_same(a[name], b[name], f'{key}.{name}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), key
        for i, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f'{key}.{i}')
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b), key
    else:
        assert a == b, key


def under(state, prefix):
    """The part of a state dict below a prefix."""
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }


@pytest.fixture(scope='module')
def rgb(workspace):
    config = workspace.config(RGB)
    workspace.train(config, python=sys.executable)
    return config


@pytest.fixture(scope='module')
def transfer(workspace, rgb):
    config = workspace.config(TRANSFER)
    workspace.train(config)
    return config


@pytest.fixture(scope='module')
def hha(workspace, transfer):
    config = workspace.config(HHA)
    workspace.train(config)
    return config


@pytest.mark.slow
def test_transfer_to_detector_to_fusion(workspace, rgb, transfer, hha):
    for config in (rgb, hha):
        found = workspace.metrics(workspace.work_dir(config))
        assert 0 <= found['voc/mAP'] <= 1
        assert {'voc/AP_chair', 'voc/AP_television'} <= found.keys()
    found = workspace.metrics(workspace.work_dir(transfer))
    assert found['transfer/explained_variance_pool5'] < 1
    assert found['loss_pool5'] > 0

    # The detector starts from the student, without a converter ...
    student = load(workspace.work_dir(transfer) / LAST)['state_dict']
    start = load(workspace.work_dir(hha) / 'probe_0.pth')['start']
    assert_same(under(dict(student), 'backbone.'), under(start, 'backbone.'))
    # ... and the fusion consists of the two detectors.
    fusion = workspace.config(FUSION)
    workspace.run(
        sys.executable, workspace.tools / 'test.py', fusion, '--out', 'out.pkl'
    )
    found = workspace.metrics(workspace.work_dir(fusion))
    assert 0 <= found['voc/mAP'] <= 1
    predictions = pickle.loads((workspace.path / 'out.pkl').read_bytes())
    assert len(predictions) == 3
    assert all(len(p['pred_instances']['scores']) > 0 for p in predictions)


@pytest.mark.slow
def test_teacher_stays_as_it_was(workspace, rgb, transfer):
    probe = load(workspace.work_dir(transfer) / 'probe_0.pth')
    trained = load(workspace.work_dir(rgb) / LAST)['state_dict']
    assert_same(dict(probe['teacher']), under(trained, 'backbone.'))
    ids = probe['ids']
    assert ids['optimizer'] == ids['model']
    assert not ids['optimizer'] & ids['teacher']
    checkpoint = load(workspace.work_dir(transfer) / LAST)
    assert {k.split('.')[0] for k in checkpoint['state_dict']} == {
        'backbone',
        'transfer_points',
    }
    assert len(checkpoint['optimizer']['state']) == len(ids['model'])
    moved = checkpoint['state_dict']['backbone.conv1.weight']
    assert not torch.equal(moved, probe['start']['backbone.conv1.weight'])


@pytest.mark.slow
def test_checkpoint_holds_plain_tensors(workspace, transfer):
    code = (
        'import sys, torch; from mmxdistill import compat; '
        'compat.allow_checkpoint_globals(); '
        'state = torch.load(sys.argv[1], weights_only=True)["state_dict"]; '
        'assert all(type(v) is torch.Tensor for v in state.values()); '
        'torch.save(state, sys.argv[2])'
    )
    path = workspace.work_dir(transfer) / LAST
    plain = workspace.path / 'plain.pth'
    root = str(workspace.tools.parent)
    workspace.run(sys.executable, '-c', code, path, plain, PYTHONPATH=root)
    # PyTorch alone reads the weights: no class of the stack is in them.
    code = 'import sys, torch; torch.load(sys.argv[1], weights_only=True)'
    workspace.run(sys.executable, '-I', '-c', code, plain)


@pytest.mark.slow
@pytest.mark.parametrize('stage', ['transfer', 'hha'])
@pytest.mark.parametrize(
    ('workers', 'kills'),
    # 1: before the first checkpoint. 5: one iteration after the second.
    [(0, [1, 5]), (2, [5])],
)
def test_killed_and_resumed_run(workspace, request, stage, workers, kills):
    config = request.getfixturevalue(stage)
    work_dir = workspace.path / f'{stage}_resumed_{workers}'
    command = [config, '--resume', '--work-dir', work_dir, '--cfg-options']
    command += [
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={workers > 0}',
    ]
    for iteration in kills:
        killed = workspace.train(*command, status=-9, KILL_AT=str(iteration))
        assert not (work_dir / LAST).exists()
    assert (work_dir / 'iter_4.pth').exists()
    # A checkpoint of which half was written when the run was killed.
    (work_dir / LAST).write_bytes(b'half')
    resumed = workspace.train(*command)
    assert 'iter_4.pth' in resumed.stdout and '[5/6]' in resumed.stdout
    assert '[4/6]' in killed.stdout and '[4/6]' not in resumed.stdout
    if stage == 'transfer':  # calibrated once
        assert 'average norm of a feature cell' not in resumed.stdout

    whole = load(workspace.work_dir(config) / LAST)
    again = load(work_dir / LAST)
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(whole[part], again[part], part)


@pytest.mark.slow
def test_two_processes(workspace, rgb, monkeypatch):
    # No flips, so that the energy does not depend on who draws them.
    config = workspace.config(
        TRANSFER,
        'two',
        'train_dataloader.update(dataset=dict('
        'pipeline=_base_.val_dataloader.dataset.pipeline))\n',
    )
    workspace.run(
        'bash',
        workspace.tools / 'dist_train.sh',
        config,
        '2',
        '--cfg-options',
        'train_cfg.max_iters=2',
        PYTHON=warm_python(),
    )
    work_dir = workspace.work_dir(config)
    first, second = (load(work_dir / f'probe_{i}.pth') for i in range(2))
    assert not set(first['first']) & set(second['first'])  # images
    assert_same(first['end'], second['end'])
    assert_same(first['teacher'], second['teacher'])
    key = 'backbone.conv1.weight'
    assert not torch.equal(first['start'][key], first['end'][key])
    state = load(work_dir / 'iter_2.pth')['state_dict']
    assert_same(dict(state), dict(first['end']))
    # Each measured half of the images; one process measures the same.
    cfg = Config.fromfile(config, import_custom_modules=False)
    monkeypatch.chdir(workspace.path)
    alone = MODELS.build(cfg.model)
    runner = SimpleNamespace(
        model=alone,
        iter=0,
        train_dataloader=DataLoader(
            DATASETS.build(cfg.train_dataloader.dataset),
            batch_size=3,
            collate_fn=pseudo_collate,
        ),
        logger=logging.getLogger(),
    )
    TransferCalibrationHook().before_train(runner)
    torch.testing.assert_close(
        state['transfer_points.0.loss.energy'],
        alone.state_dict()['transfer_points.0.loss.energy'],
    )


def depth(root, name):
    path = root / 'depth' / f'{name}.png'
    return path, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def remove_partner(root):
    depth(root, 'pairs_000002')[0].unlink()


def shrink_one_modality(root):
    path = root / 'color/pairs_000001.jpg'
    cv2.imwrite(str(path), cv2.imread(str(path))[:, :90])


def make_depth_8_bit(root):
    path, image = depth(root, 'test_000001')
    cv2.imwrite(str(path), (image // 40).astype(np.uint8))


def clear_depth(root):
    path, image = depth(root, 'pairs_000004')
    cv2.imwrite(str(path), np.zeros_like(image))


def clear_raw_depth(root):
    path = root / 'depth_raw/pairs_000004.png'
    cv2.imwrite(str(path), np.zeros((64, 96), np.uint16))


def truncate_image(root):
    path = root / 'color/pairs_000003.jpg'
    path.write_bytes(path.read_bytes()[:300])


def forget_proposals(root):
    path = root / 'proposals_train.pkl'
    proposals = pickle.loads(path.read_bytes())
    del proposals['color/train_000001.jpg']
    path.write_bytes(pickle.dumps(proposals))


def write_other_teacher(root):
    state = {'backbone.conv1.weight': torch.zeros(4, 3, 11, 11)}
    torch.save(dict(state_dict=state), root / 'other.pth')


@pytest.fixture
def train_here(workspace, tmp_path, monkeypatch):
    """Runs ``tools/train.py`` in this process on a copy of the data."""
    data = 'data/synthetic_rgbd'
    shutil.copytree(workspace.path / data, tmp_path / data)
    monkeypatch.chdir(tmp_path)

    def run_iter(*args):
        pytest.fail('an iteration began')

    def train(damage, pattern, *options):
        damage(tmp_path / data)
        argv = ['train.py', str(workspace.find(pattern)), '--cfg-options']
        argv += ['train_dataloader.num_workers=0', *options]
        argv += ['train_dataloader.persistent_workers=False']
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.setattr(IterBasedTrainLoop, 'run_iter', run_iter)
        monkeypatch.setattr(Config, 'pretty_text', '')  # seconds each
        runpy.run_path(str(workspace.tools / 'train.py'), run_name='__main__')

    return train


@pytest.mark.parametrize(
    ('damage', 'options', 'messages'),
    [
        (
            remove_partner,
            '',
            ['1 of 6', 'depth/pairs_000002.png', 'does not exist', 'remove'],
        ),
        (
            shrink_one_modality,
            '',
            ['color/pairs_000001.jpg', '90x64', '96x64', 'ResizeTo'],
        ),
        (
            clear_depth,
            '',
            ["'data/synthetic_rgbd/depth/pairs_000004.png'", 'no measured'],
        ),
        (
            clear_raw_depth,
            '',
            ['depth_raw/pairs_000004.png', 'no measured', 'remove the pair'],
        ),
        (truncate_image, '', ['color/pairs_000003.jpg', 'truncated']),
        (
            bool,
            'model.transfer_points.0.student=pool6',
            ['student', "'pool6'", 'did you mean pool5 (1 x 64 x 2 x 3)'],
        ),
        (
            write_other_teacher,
            'model.teacher_checkpoint=data/synthetic_rgbd/other.pth',
            ['other.pth', 'conv2.weight', '(4, 3, 11, 11)', '(32, 3, 11, 11)'],
        ),
    ],
)
def test_bad_input_of_a_transfer(train_here, damage, options, messages):
    command = ['model.teacher_checkpoint=None', *options.split()]
    with pytest.raises(SystemExit) as error:
        train_here(damage, TRANSFER, *command)
    for message in messages:
        assert message in str(error.value)


@pytest.mark.parametrize(
    ('damage', 'options', 'messages'),
    [
        (
            make_depth_8_bit,  # of the validation: found all the same
            '',
            ['depth/test_000001.png', '16-bit', 'uint8', 'original depth'],
        ),
        (
            forget_proposals,
            '',
            ['proposals_train.pkl', '1 of 4', "'color/train_000001.jpg'"],
        ),
        (
            bool,
            'train_dataloader.dataset.metainfo.classes=(box,chair,sofa)',
            ["['sofa']", 'annotations_train.json', "'television'"],
        ),
        (
            bool,
            'model.roi_head.bbox_head.num_classes=7',
            ['5 classes', "'television'", 'num_classes', 'bbox_head', '7'],
        ),
    ],
)
def test_bad_input_of_a_detector(train_here, damage, options, messages):
    with pytest.raises((SystemExit, ValueError, KeyError)) as error:
        train_here(damage, SCRATCH, *options.split())
    for message in messages:
        assert message in str(error.value)


def test_name_without_scope(train_here):
    with pytest.raises(SystemExit, match=r"'mmxdistill\.SupervisionTransfer'"):
        train_here(bool, TRANSFER, 'model.type=SupervisionTransfer')


@pytest.mark.slow
def test_user_sees_one_error(workspace, tmp_path):
    data = tmp_path / 'data/synthetic_rgbd'
    shutil.copytree(workspace.path / 'data/synthetic_rgbd', data)
    make_depth_8_bit(data)
    done = workspace.train(workspace.find(SCRATCH), status=1, cwd=tmp_path)
    assert 'Traceback' not in done.stdout
    lines = done.stdout.splitlines()
    assert 'test_000001.png' in lines[-2] and 'uint8' in lines[-2]
    assert lines[-1].startswith('Mend or remove them')
    assert 'Iter(train)' not in done.stdout
