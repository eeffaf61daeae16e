"""The quickstart as a newcomer starts it; once, all of it."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from warm_python import warm_python

from mmxdistill.studies import engine, quickstart

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'quickstart.py'


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('quickstart_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['--seeds', 'a'], "invalid int value: 'a'"),
        (['--seeds', '-1'], 'must not be negative'),
        (['--seeds', '0', str(2**32)], '4294967296 is not below 2^32'),
        (['--fast'], 'unrecognized arguments: --fast'),
    ],
)
def test_bad_arguments(tool, args, message, capsys):
    with pytest.raises(SystemExit):
        tool.main(args)
    assert message in capsys.readouterr().err


def test_list_prints_the_commands(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tool.main(['--list', '--seeds', '3', '3'])
    lines = capsys.readouterr().out.splitlines()
    steps = quickstart.plan(Path('work_dirs/quickstart'), [3], TOOL.parent)
    assert lines == [str(step) for step in steps]
    assert not list(tmp_path.iterdir())


def test_options_of_snakemake_are_passed_on(tool, tmp_path, monkeypatch):
    passed = []

    def run(steps, snakefile, cores, options):
        passed.append((snakefile, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, 'run_steps', run)
    with pytest.raises(SystemExit, match='Started again, it continues'):
        tool.main(
            ['--work-dir', str(tmp_path), '--snakemake', '--executor', 'slurm']
        )
    assert passed == [(TOOL.parent / 'Snakefile', ['--executor', 'slurm'])]


# A training stands still after its first checkpoint: it is killed there.
STANDS = """
import os
import sys
import time

if 'STANDS' in os.environ and 'mmengine.hooks' in sys.modules:
    from mmengine.hooks import CheckpointHook

    def after_train_iter(self, runner, *args, **kwargs):
        save(self, runner, *args, **kwargs)
        home = os.path.join(runner.work_dir, 'last_checkpoint')
        while home.endswith(os.environ['STANDS']) and os.path.exists(home):
            time.sleep(1)

    save = CheckpointHook.after_train_iter
    CheckpointHook.after_train_iter = after_train_iter
"""
# The tool, whose steps need not import the stack.
START = """
import runpy, sys
sys.executable, *sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


@pytest.mark.slow
def test_smoke_run_killed_continued_and_repeated(
    tool, tmp_path, monkeypatch, capfd
):
    (tmp_path / 'sitecustomize.py').write_text(STANDS)
    python = sys.executable
    monkeypatch.setattr(sys, 'executable', warm_python())
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    args = ['--smoke', '--work-dir', 'wd']
    home = tmp_path / 'wd' / 'smoke'
    checkpoint = Path('seed_0', 'random', 'last_checkpoint')
    with subprocess.Popen(
        [python, '-c', START, sys.executable, TOOL, *args],
        env={**os.environ, 'STANDS': str(checkpoint)},
        stdout=subprocess.DEVNULL,
    ) as process:
        while not (home / checkpoint).exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    capfd.readouterr()
    tool.main(args)
    out = capfd.readouterr().out
    assert '[1/12]' not in out  # the data are there
    assert '/12] seed_0/test_fusion done in' in out
    log = (home / 'seed_0' / 'random.log').read_text()
    assert 'resumed epoch: 0, iter: ' in log
    text = (home / 'results.md').read_text()
    assert 'the numbers mean nothing' in text
    for name in ('results.csv', 'transfer_curve.png', 'detections.png'):
        assert (home / name).stat().st_size > 0

    monkeypatch.chdir(tmp_path)
    tool.main(args)
    again = capfd.readouterr().out
    assert '/12]' not in again
    table = text.partition('## Pictures')[0].strip()
    assert table in out
    assert table in again
