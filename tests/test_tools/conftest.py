"""A folder to work in: tiny data, and the configs cut down to it."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from warm_python import warm_python

from mmxdistill.synthetic import write_dataset

ROOT = Path(__file__).resolve().parents[2]
ITERATIONS = 6

TINY = """
_base_ = [__import__('mmxdistill').config_path('{name}')]
custom_imports = dict(imports=['probe'])
custom_hooks = [*_base_.custom_hooks, dict(type='Probe')]
train_cfg = dict(max_iters={iterations}, val_interval={iterations})
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
"""

PROBE = """
import os
import signal

import torch
from mmdet.registry import HOOKS
from mmengine.config import Config
from mmengine.hooks import Hook

Config.pretty_text = ''  # for the logs; formatting it takes seconds


@HOOKS.register_module()
class Probe(Hook):
    # Runs last: whatever happens at an iteration has happened.
    priority = 'LOWEST'

    def before_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        state = model.state_dict()
        self.found = dict(start={k: v.clone() for k, v in state.items()})

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        samples = data_batch['data_samples']
        self.found.setdefault('first', [s.img_path for s in samples])

    def after_train_iter(self, runner, *args, **kwargs):
        if os.environ.get('KILL_AT') == str(runner.iter + 1):
            os.kill(os.getpid(), signal.SIGKILL)

    def after_train(self, runner):
        model = getattr(runner.model, 'module', runner.model)
        self.found['end'] = model.state_dict()
        groups = runner.optim_wrapper.optimizer.param_groups
        ids = dict(
            optimizer={id(p) for g in groups for p in g['params']},
            model={id(p) for p in model.parameters()},
        )
        if hasattr(model, 'teacher'):
            ids['teacher'] = {id(p) for p in model.teacher.parameters()}
            self.found['teacher'] = model.teacher.state_dict()
        self.found['ids'] = ids
        path = os.path.join(runner.work_dir, f'probe_{runner.rank}.pth')
        torch.save(self.found, path)
"""


class Workspace:
    """A folder with generated data in which the tools are run.

    Args:
        path (Path): The folder.
    """

    tools = ROOT / 'tools'

    def __init__(self, path: Path) -> None:
        self.path = path
        write_dataset(
            path / 'data/synthetic_rgbd',
            dict(rgb=6, pairs=6, train=4, test=3),
            image_size=(96, 64),
            num_proposals=30,
            processes=1,
        )
        (path / 'probe.py').write_text(PROBE)

    @staticmethod
    def find(pattern: str) -> Path:
        """The only config of the package that matches a pattern."""
        (path,) = (ROOT / 'configs').glob(pattern)
        return path

    def config(self, pattern: str, stem: str = '', extra: str = '') -> Path:
        """Cut a config of the package down to a few iterations."""
        full = self.find(pattern)
        name = full.relative_to(ROOT / 'configs').as_posix()
        path = self.path / f'{stem or full.stem}.py'
        path.write_text(TINY.format(name=name, iterations=ITERATIONS) + extra)
        self._provide(Config.fromfile(full).to_dict())
        return path

    def _provide(self, node: Any) -> None:
        """Put ours where the config expects those of the full schedules."""
        if isinstance(node, (dict, list, tuple)):
            for child in node.values() if isinstance(node, dict) else node:
                self._provide(child)
        elif re.fullmatch(r'work_dirs/[^/]+/iter_\d+\.pth', str(node)):
            wanted = self.path / node
            if not wanted.exists():
                shutil.copy(wanted.with_name(f'iter_{ITERATIONS}.pth'), wanted)
        elif re.fullmatch(r'fast_rcnn/\w[^/]*\.py', str(node)):
            # A stream takes the last checkpoint of its config's schedule.
            last = Config.fromfile(ROOT / 'configs' / node).train_cfg.max_iters
            self._provide(f'work_dirs/{Path(node).stem}/iter_{last}.pth')

    def run(
        self,
        *command: str | Path,
        status: int = 0,
        cwd: Path | None = None,
        **env: str,
    ) -> subprocess.CompletedProcess:
        """Run a command, by default here, and check its exit status."""
        done = subprocess.run(
            list(map(str, command)),
            cwd=cwd or self.path,
            env={**os.environ, 'PYTHONPATH': str(self.path), **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout[-3000:]
        return done

    def train(
        self,
        config: Path,
        *args: str | Path,
        python: str | None = None,
        **kwargs: Any,
    ) -> subprocess.CompletedProcess:
        """Run ``tools/train.py`` on a config."""
        tool = self.tools / 'train.py'
        python = python or warm_python()
        return self.run(python, tool, config, *args, **kwargs)

    def work_dir(self, config: Path) -> Path:
        """Default work dir of a config."""
        return self.path / 'work_dirs' / config.stem

    @staticmethod
    def metrics(work_dir: Path) -> dict[str, float]:
        """All metrics that the runs in a work dir wrote."""
        found: dict[str, float] = {}
        for path in sorted(work_dir.rglob('*.json')):
            for line in path.read_text().splitlines():
                found.update(json.loads(line))
        return found


@pytest.fixture(scope='session')
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One folder for all tests: each stage builds on the one before."""
    return Workspace(tmp_path_factory.mktemp('workspace'))
