import csv
import json
import os
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxdistill import config_path
from mmxdistill.models.networks import resolve_network
from mmxdistill.studies import quickstart
from mmxdistill.studies.jobs import Evaluation, Training
from mmxdistill.studies.rooms import FRAMES

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def by_name(seeds, smoke=False):
    steps = quickstart.plan(Path('wd'), seeds, TOOLS, smoke)
    return {step.name: step for step in steps}


def test_all_seeds_after_the_data():
    steps = by_name([0, 1])
    assert len(steps) == 1 + 2 * len(quickstart.JOBS)
    assert steps.pop('data').command[-4:] == (
        'rgb=800',
        'pairs=800',
        'train=50',
        'test=150',
    )
    assert all('data' in step.needs for step in steps.values())


def test_smoke_is_short_and_small():
    steps = by_name([0], smoke=True)
    assert 'train_cfg.max_iters=4' in steps['seed_0/rgb'].command
    assert 'rgb=16' in steps['data'].command


def checkpoints_of(value, key=''):
    """All ``work_dirs/<config>/<file>`` in a config, by dotted keys."""
    if isinstance(value, str) and value.startswith('work_dirs/'):
        return {key.lstrip('.'): Path(value)}
    if not isinstance(value, dict):
        return {}
    return {
        name: path
        for k, v in value.items()
        for name, path in checkpoints_of(v, f'{key}.{k}').items()
    }


def test_every_checkpoint_of_a_config_is_redirected():
    """Else a step would read what another run left in ``work_dirs``."""
    trainings = {j.name: j for j in quickstart.JOBS if isinstance(j, Training)}
    redirected = 0
    for job in quickstart.JOBS:
        cfg = Config.fromfile(config_path(job.config)).to_dict()
        found = checkpoints_of(cfg)
        for name, stream in cfg['model'].get('streams', {}).items():
            last = resolve_network(stream['model']).checkpoint
            found[f'model.streams.{name}.checkpoint'] = Path(last)
        if isinstance(job, Evaluation):  # has all the weights already
            found.pop('load_from', None)
            found.pop('model.backbone.init_cfg.checkpoint', None)
        assert set(found) == set(job.checkpoints), job.name
        for key, path in found.items():
            source = trainings[job.checkpoints[key]].config
            assert path.parent.name == Path(source).stem
            number = Config.fromfile(config_path(source)).train_cfg.max_iters
            assert path.name == f'iter_{number}.pth'
            redirected += 1
    assert redirected >= 5


@pytest.mark.parametrize(
    ('sizes', 'kept'), [(FRAMES, True), (dict(rgb=1), False)]
)
def test_data_are_checked_again_unless_they_are_those(sizes, kept):
    step = by_name([0])['data']
    step.done.parent.mkdir(parents=True)
    step.done.touch()
    manifest = Path(step.command[2], 'synthetic.json')
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps(dict(sizes=sizes)))
    by_name([0])
    assert step.done.exists() == kept
    manifest.unlink()
    by_name([0])
    assert not step.done.exists()


# -- report -----------------------------------------------------------------


def write_metrics(step, metrics):
    path = step.folder / '20260101_000000' / '20260101_000000.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**metrics, 'data_time': 0.01, 'time': 0.05}))


def write_tests(steps, seed, mean_aps):
    for test, mean_ap in zip(
        quickstart.DETECTORS.values(), mean_aps, strict=True
    ):
        metrics = {'voc/mAP': mean_ap, 'voc/AP_box': 0.1, 'voc/AP_lamp': 0.2}
        write_metrics(steps[f'seed_{seed}/{test}'], metrics)
    write_metrics(
        steps[f'seed_{seed}/test_transfer'],
        {'transfer/explained_variance_pool5': 0.3523, 'transfer/loss': 0.3},
    )


def test_margins_of_the_orders():
    mean_ap = dict(
        zip(quickstart.DETECTORS, (30, 20, 25, 28, 35), strict=True)
    )
    results = {name: {'mAP': value} for name, value in mean_ap.items()}
    # transferred - copied, transferred - random, fused - RGB, the best
    assert quickstart.margins(results) == [3, 8, 5]


def test_report(monkeypatch):
    drawn = []
    monkeypatch.setattr(
        quickstart, 'draw_pictures', lambda *args: drawn.append(args)
    )
    steps = by_name([0, 1])
    write_tests(steps, 0, (0.30, 0.20, 0.25, 0.28, 0.35))
    write_tests(steps, 1, (0.30, 0.20, 0.29, 0.28, 0.27))
    home = Path('wd')
    quickstart.write_report(home, list(steps.values()), [0, 1], '# Head\n')
    assert drawn == [(home, [0, 1])]
    text = (home / 'results.md').read_text()
    rows = [
        [cell.strip() for cell in line.strip('| ').split('|')]
        for line in text.splitlines()
        if line.startswith('|')
    ]
    assert rows[0] == ['AP (%)', 'box', 'lamp', 'mAP']
    assert [
        'RGB + HHA fused',
        '10.0 ± 0.0',
        '20.0 ± 0.0',
        '31.0 ± 5.7',
    ] in rows
    assert ['0', 'yes (+3.0)', 'yes (+8.0)', 'yes (+5.0)', '0.352'] in rows
    assert ['1', 'NO (-1.0)', 'yes (+8.0)', 'NO (-3.0)', '0.352'] in rows
    assert all(str(step) in text for step in steps.values())
    with (home / 'results.csv').open(newline='') as file:
        fused = [r for r in csv.DictReader(file) if 'fused' in r['detector']]
    assert [row['seed'] for row in fused] == ['0', '1', 'mean', 'std']
    assert float(fused[2]['mAP']) == pytest.approx(31)


def test_report_is_that_of_these_steps():
    home = Path('wd')
    steps = list(by_name([0], smoke=True).values())
    for path in (
        *(step.done for step in steps),
        *(home / name for name in quickstart.FILES),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('# Seeds 0\n')
    assert quickstart.is_reported(home, steps, '# Seeds 0\n')
    assert not quickstart.is_reported(home, steps, '# Seeds 0 1\n')
    made = (home / quickstart.REPORT).stat().st_mtime
    os.utime(steps[3].done, (made + 1, made + 1))  # run again since
    assert not quickstart.is_reported(home, steps, '# Seeds 0\n')
    os.utime(steps[3].done, (made, made))
    steps[-1].done.unlink()
    assert not quickstart.is_reported(home, steps, '# Seeds 0\n')
