"""The wheel (setup.py) and the environment (tools/setup_env.sh)."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import mmdet
import pytest
import yaml

import mmxdistill

ROOT = Path(__file__).resolve().parents[1]


def run(*command, **kwargs):
    return subprocess.run(
        command, capture_output=True, text=True, check=False, **kwargs
    )


# -- The wheel --------------------------------------------------------------


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file()
    }


def test_wheel_is_complete(installed):
    source, folder = installed
    mim = folder / 'mmxdistill' / '.mim'
    assert files(mim / 'configs') == files(source / 'configs')
    assert files(mim / 'tools') == files(source / 'tools')
    assert (mim / 'model-index.yml').is_file()
    package = files(folder / 'mmxdistill')
    package = {name for name in package if not name.startswith('.mim/')}
    assert package == files(source / 'mmxdistill')


def test_metadata(installed):
    (found,) = distributions(name='mmxdistill', path=[str(installed[1])])
    assert found.version == mmxdistill.__version__
    licences = ('License-Expression', 'License')
    assert 'Apache-2.0' in map(found.metadata.get, licences)
    wanted = {
        re.match(r'[\w-]+', line)[0]
        for line in found.requires
        if 'extra' not in line
    }
    # Neither stack: they overwrite each other.
    assert {'numpy', 'scipy'} <= wanted
    assert not any(re.search('torch|mm|onedl', name) for name in wanted)
    extras = set(found.metadata.get_all('Provides-Extra'))
    assert {'onedl', 'openmmlab', 'caffe', 'numba', 'timm'} <= extras
    assert {'LICENSE'} <= {file.name for file in found.files}
    assert (ROOT / 'README.md').read_text() in found.metadata.get_payload()


# Leaves the stack of this environment out.
BARE = """
import sys
from importlib.machinery import PathFinder

STACK = {'torch', 'mmengine', 'mmcv', 'mmdet'}

class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition('.')[0] not in STACK:
            return super().find_spec(name, path, target)

sys.meta_path[:] = [*sys.meta_path[:2], Bare]
sys.path.insert(0, sys.argv[1])
import numpy as np
import mmxdistill.caffe, mmxdistill.converters
from mmxdistill.encodings import encode_flow, encode_hha
print(mmxdistill.__file__, encode_flow(np.ones((1, 1, 2))).tolist())
import mmxdistill.models
"""


def test_light_parts_without_the_stack(installed):
    """Encodings need NumPy and OpenCV; the rest says how to get its own."""
    done = run(sys.executable, '-I', '-c', BARE, installed[1])
    file = installed[1] / 'mmxdistill' / '__init__.py'
    assert done.stdout == f'{file} [[[144, 144, 151]]]\n', done.stderr
    assert 'ImportError: mmxdistill needs torch' in done.stderr
    assert 'pip install onedl-mmdetection' in done.stderr


def test_model_index_of_the_wheel(installed):
    """What mim reads: metafiles, and each config where it says."""
    mim = installed[1] / 'mmxdistill' / '.mim'
    index = yaml.safe_load((mim / 'model-index.yml').read_text())
    assert len(index['Import']) >= 4
    for name in index['Import']:
        metafile = yaml.safe_load((mim / name).read_text())
        (collection,) = metafile['Collections']
        assert (mim / collection['README']).is_file()
        for model in metafile['Models']:
            assert model['In Collection'] == collection['Name']
            assert (mim / model['Config']).stem == model['Name']
            assert (mim / model['Config']).is_file()


# As a user writes them, in lines as long as he likes.
TRANSFER = """\
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
net = dict(_base_.model, backbone=dict(_base_.model.backbone, init_cfg=None))
load = dict(pipeline=[dict(type='LoadImageFromFile')])
model = dict(_delete_=True, type='mmxdistill.SupervisionTransfer', teacher=net, teacher_checkpoint=None, student=net,
             modalities=dict(teacher='rgb', student='thermal'),
             transfer_points=[dict(teacher='neck[1]', student='neck[1]', adaptation=dict())],
             data_preprocessor=dict(type='mmxdistill.MultiModalDataPreprocessor', pad_size_divisor=32,
                                    modalities=dict(rgb='teacher', thermal='student')))
pairs = dict(type='mmxdistill.PairedDataset', ann_file='pairs.txt', pipeline=[dict(type='PackDetInputs')],
             modalities=dict(rgb=dict(path='rgb/{stem}.png', **load), thermal=dict(path='thermal/{stem}.png', **load)))
train_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False, dataset=dict(_delete_=True, **pairs))
train_cfg = dict(max_epochs=1)
val_dataloader = val_evaluator = val_cfg = None
custom_hooks = [dict(type='mmxdistill.TransferCalibrationHook')]
"""  # noqa: E501
DETECTOR = """\
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
model = dict(backbone=dict(init_cfg=None))
load_from = 'work_dirs/transfer/epoch_1.pth'
steps = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True), dict(type='PackDetInputs')]
train_dataloader = dict(batch_size=1, num_workers=0, persistent_workers=False, dataset=dict(
    data_root='', ann_file='boxes.json', data_prefix=dict(img='thermal/'), pipeline=steps))
train_cfg = dict(max_epochs=1)
val_dataloader = val_evaluator = val_cfg = None
"""  # noqa: E501


@pytest.mark.slow
def test_folder_of_a_user(installed, tmp_path):
    """Wheel, two configs that inherit mmdet's, and mmdet's own tool."""
    import cv2
    import numpy as np
    import torch

    for name in ('rgb', 'thermal'):
        (tmp_path / name).mkdir()
        image = np.full((64, 64, 3), 99, np.uint8)
        cv2.imwrite(str(tmp_path / name / 'a.png'), image)
    (tmp_path / 'pairs.txt').write_text('a\n')
    box = dict(id=1, image_id=1, category_id=1, bbox=[8, 8, 40, 40])
    coco = dict(
        images=[dict(id=1, file_name='a.png', width=64, height=64)],
        annotations=[dict(**box, area=1600, iscrowd=0)],
        categories=[dict(id=1, name='person')],
    )
    (tmp_path / 'boxes.json').write_text(json.dumps(coco))
    assert len(TRANSFER.splitlines()) <= 15
    tool = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
    weights = {}
    for stage, text in (('transfer', TRANSFER), ('detector', DETECTOR)):
        (tmp_path / f'{stage}.py').write_text(text)
        trained = run(
            *(sys.executable, tool, f'{stage}.py'),
            cwd=tmp_path,
            env={'PYTHONPATH': str(installed[1]), 'PATH': '', 'HOME': ''},
        )
        assert trained.returncode == 0, trained.stderr[-3000:]
        log = trained.stdout + trained.stderr
        file = tmp_path / 'work_dirs' / stage / 'epoch_1.pth'
        weights[stage] = torch.load(file, weights_only=False)['state_dict']
    assert 'missing keys in source' not in log
    taught = {
        key
        for key in weights['transfer']
        if not key.startswith('transfer_points.')
    }
    assert taught == set(weights['detector'])


def test_installed_wheel_finds_configs_and_runs_tools(installed, tmp_path):
    _, folder = installed
    environment = {'PYTHONPATH': str(folder), 'PATH': ''}
    code = (
        'from mmxdistill import config_path; '
        "print(config_path('late_fusion/probe.py'))"
    )
    found = run(sys.executable, '-c', code, cwd=tmp_path, env=environment)
    mim = folder / 'mmxdistill' / '.mim'
    expected = mim / 'configs' / 'late_fusion' / 'probe.py'
    assert found.stdout.strip() == str(expected), found.stderr
    tool = run(
        *(sys.executable, mim / 'tools' / 'train.py', 'late_fusion/prob.py'),
        cwd=tmp_path,
        env=environment,
    )
    assert tool.returncode == 2
    assert 'Close names: late_fusion/probe.py' in tool.stderr


# -- The environment --------------------------------------------------------

# Stands in for Python: an environment is a folder with the marks "complete"
# and "mmcv"; what pip is told is written to a file, and it fails at FAIL_AT.
FAKE_PYTHON = """#!/bin/bash
here=$(dirname "$0")/..
case "$*" in
    *version_info*) [ -z "$TOO_OLD" ] ;;
    *'import cv2'*) [ -e "$here/complete" ] ;;
    *'import mmcv.ops'*) [ -e "$here/mmcv" ] ;;
    *'-m venv'*)
        mkdir -p "${@: -1}/bin"
        cp "$0" "${@: -1}/bin/python" ;;
    *'pip cache remove'*)
        echo "pip cache remove" >>"$CALLS"
        rm "$STALE" ;;
    *'pip uninstall'*) echo "pip uninstall" >>"$CALLS" ;;
    *'pip install'*)
        echo "pip install ${*:6}" >>"$CALLS"
        [ -z "$FAIL_AT" ] || [[ "$*" != *"$FAIL_AT"* ]] || exit 1
        case "$*" in
            *onedl-mmcv* | *' mmcv '*)
                echo '[30/78] c++ -o ops.o'
                [ -e "$STALE" ] || touch "$here/mmcv" ;;
            *--editable*) touch "$here/complete" ;;
        esac ;;
esac
"""


class Machine:
    """A checkout with the set-up scripts, and fake programs on the path."""

    def __init__(self, folder):
        self.root = folder / 'checkout'
        self.venv = self.root / '.venv'
        self.calls = folder / 'calls.txt'
        self.bin = folder / 'system' / 'bin'
        self.stale = folder / 'stale'
        self.bin.mkdir(parents=True)
        (self.root / 'tools').mkdir(parents=True)
        shutil.copy(ROOT / 'tools' / 'setup_env.sh', self.root / 'tools')
        shutil.copy(ROOT / 'tools' / 'run_tests.sh', self.root / 'tools')
        for name in ('python', 'python3', 'python3.10'):
            self.program(name, FAKE_PYTHON)
        for name in ('python3.11', 'python3.12', 'c++'):
            self.program(name, '#!/bin/bash\nexit 1\n')
        self.program('df', '#!/bin/bash\nprintf "H\\nfs 9 9 90000000 0%% /"\n')

    def program(self, name, text):
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def set_up(self, script='setup_env.sh', *arguments, **environment):
        """Run a script; return its exit code, messages and pip's orders."""
        self.calls.write_text('')
        done = run(
            *('bash', self.root / 'tools' / script, *arguments),
            env={
                'PATH': f'{self.bin}:/usr/bin:/bin',
                'CALLS': str(self.calls),
                'STALE': str(self.stale),
                **environment,
            },
        )
        return done.returncode, done.stderr, self.calls.read_text()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_first_and_second_set_up(machine):
    code, messages, calls = machine.set_up()
    assert code == 0, messages
    order = (
        *('ninja', 'torch', 'onedl-mmcv', 'onedl-mmdetection'),
        *('uninstall', 'contrib', '--editable'),
    )
    positions = [calls.index(name) for name in order]
    assert positions == sorted(positions)
    assert '38 % compiled' in messages
    assert '6/6 mmxdistill' in messages
    assert f'using {machine.venv}/bin/python' in messages
    code, messages, calls = machine.set_up()
    assert (code, calls) == (0, '')
    assert messages == f'[setup] using {machine.venv}/bin/python\n'


@pytest.mark.parametrize('fail_at', ['torch', 'onedl-mmcv', '--editable'])
def test_interrupted_set_up_is_made_anew(machine, fail_at):
    code, messages, _ = machine.set_up(FAIL_AT=fail_at)
    assert code == 1
    assert 'error: failed: ' in messages
    (machine.venv / 'half-installed').touch()
    code, messages, calls = machine.set_up()
    assert code == 0, messages
    assert 'from an interrupted set-up and is made anew' in messages
    assert not (machine.venv / 'half-installed').exists()
    assert 'torch' in calls


def test_original_stack_has_its_own_environment(machine):
    (machine.bin.parent / 'complete').touch()  # an active environment
    code, messages, calls = machine.set_up(MMXDISTILL_STACK='openmmlab')
    assert code == 0, messages
    assert f'using {machine.venv}-openmmlab/bin/python' in messages
    assert ' mmcv mmengine ' in calls
    assert ' mmdet ' in calls
    assert 'onedl' not in calls
    code, messages, calls = machine.set_up(MMXDISTILL_STACK='mmdet')
    assert (code, calls) == (2, '')
    assert 'must be onedl or openmmlab' in messages


def test_new_pins_are_installed(machine):
    machine.set_up()
    script = machine.root / 'tools' / 'setup_env.sh'
    script.write_text(script.read_text().replace('torch==', 'torch==9.'))
    (machine.venv / 'own').touch()
    code, _, calls = machine.set_up()
    assert code == 0
    assert 'torch' in calls
    assert (machine.venv / 'own').exists()
    assert machine.set_up()[2] == ''


def test_cached_mmcv_of_another_pytorch_is_rebuilt(machine):
    machine.stale.touch()
    code, messages, calls = machine.set_up()
    assert code == 0, messages
    built = calls.index('onedl-mmcv')
    removed = calls.index('pip cache remove')
    assert built < removed < calls.index('onedl-mmcv', removed)


def test_complete_active_environment_is_used(machine):
    (machine.bin.parent / 'complete').touch()
    code, messages, calls = machine.set_up()
    assert (code, calls) == (0, '')
    assert f'using {machine.bin}/python' in messages
    assert not machine.venv.exists()


def test_complete_environment_made_by_hand_is_used(machine):
    (machine.venv / 'bin').mkdir(parents=True)
    shutil.copy(machine.bin / 'python', machine.venv / 'bin')
    (machine.venv / 'complete').touch()
    code, messages, calls = machine.set_up()
    assert (code, calls) == (0, '')
    assert f'using {machine.venv}/bin/python' in messages


@pytest.mark.parametrize(
    ('environment', 'message'),
    [
        ({'CXX': 'no-such-compiler'}, r'no C++ compiler (no-such-compiler)'),
        ({'TOO_OLD': '1'}, 'no Python >= 3.10 found'),
        ({'FULL': '1'}, '0 GB free in '),
    ],
)
def test_unfit_machine_is_named_at_once(machine, environment, message):
    if 'FULL' in environment:
        machine.program('df', '#!/bin/bash\nprintf "H\\nfs 9 9 9 0%% /"\n')
    if 'TOO_OLD' in environment:
        # The real interpreters behind the fake ones would be found.
        environment['PATH'] = str(machine.bin)
        for name in ('bash', 'cat', 'dirname'):
            (machine.bin / name).symlink_to(shutil.which(name))
    code, messages, calls = machine.set_up(**environment)
    assert (code, calls) == (1, '')
    assert f'[setup] error: {message}' in messages
    assert not machine.venv.exists()


def test_run_tests_passes_arguments_on(machine):
    program = FAKE_PYTHON.replace(
        'case "$*" in',
        'case "$*" in\n'
        '    "-m pytest"*) echo "$PWD: $*; $PYTHONPATH" >>"$CALLS" ;;',
        1,
    )
    machine.program('python', program)
    (machine.bin.parent / 'complete').touch()
    code, messages, calls = machine.set_up('run_tests.sh', '-k', 'a b', '-x')
    assert code == 0, messages
    parallel = f'-n {os.cpu_count()} --dist loadfile'
    assert calls == (
        f'{machine.root}: -m pytest {parallel} -k a b -x; {machine.root}\n'
    )
