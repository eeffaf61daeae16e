"""The quickstart's planning, running and reporting; once, all of it."""

import csv
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config

from mmxdistill import config_path

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'quickstart.py'


@pytest.fixture(scope='module')
def quickstart():
    """Import the tool as Python does that runs it; forget it afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOL.parent))
        yield importlib.import_module('quickstart')
    for name in ('quickstart', 'quickstart_report', 'quickstart_run'):
        del sys.modules[name]


@pytest.fixture
def running(quickstart):
    return sys.modules['quickstart_run']


@pytest.fixture
def report(quickstart):
    return sys.modules['quickstart_report']


def by_name(steps):
    return {step.name: step for step in steps}


# -- planning ---------------------------------------------------------------


def test_steps_can_run_in_their_order(quickstart):
    steps = quickstart.plan(Path('wd'), [0, 1], smoke=False)
    assert len(by_name(steps)) == len(steps) == 1 + 2 * len(quickstart.JOBS)
    seen = set()
    for step in steps:
        assert seen.issuperset(step.needs)
        seen.add(step.name)
    assert all('data' in step.needs for step in steps[1:])


def test_commands(quickstart, monkeypatch):
    monkeypatch.chdir(TOOL.parents[1])
    steps = by_name(quickstart.plan(Path('wd'), [7], smoke=False))
    rgb = Config.fromfile(config_path(quickstart.RGB)).train_cfg.max_iters
    hha = Config.fromfile(config_path(quickstart.ST)).train_cfg.max_iters
    _, *command = steps['seed_7/transfer'].command
    assert command == [
        'tools/train.py',
        f'configs/{quickstart.TRANSFER}',
        '--work-dir',
        'wd/seed_7/transfer',
        '--resume',
        '--cfg-options',
        'randomness.seed=7',
        f'model.teacher_checkpoint=wd/seed_7/rgb/iter_{rgb}.pth',
    ]
    assert steps['seed_7/transfer'].needs == ('data', 'seed_7/rgb')
    _, *command = steps['seed_7/test_fusion'].command
    assert command == [
        'tools/test.py',
        f'configs/{quickstart.FUSION}',
        '--work-dir',
        'wd/seed_7/test_fusion',
        '--out',
        'wd/seed_7/test_fusion/predictions.pkl',
        '--cfg-options',
        f'model.streams.rgb.checkpoint=wd/seed_7/rgb/iter_{rgb}.pth',
        f'model.streams.hha.checkpoint=wd/seed_7/st/iter_{hha}.pth',
    ]
    assert steps['seed_7/test_fusion'].needs == (
        'data',
        'seed_7/rgb',
        'seed_7/st',
    )
    assert f'wd/seed_7/st/iter_{hha}.pth' in steps['seed_7/test_st'].command
    assert [s.name for s in steps.values() if s.always] == ['data']
    assert steps['data'].command[-4:] == (
        'rgb=800',
        'pairs=800',
        'train=50',
        'test=150',
    )


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


def test_every_checkpoint_of_a_config_is_redirected(quickstart):
    """Else a step would read what another run left in ``work_dirs``."""
    jobs = {job.name: job for job in quickstart.JOBS}
    redirected = 0
    for job in jobs.values():
        cfg = Config.fromfile(config_path(job.config)).to_dict()
        found = checkpoints_of(cfg)
        if job.name.startswith('test_'):  # has all the weights already
            found.pop('load_from', None)
            found.pop('model.backbone.init_cfg.checkpoint', None)
        assert set(found) == set(job.checkpoints), job.name
        for key, path in found.items():
            source = jobs[job.checkpoints[key]]
            assert path.parent.name == Path(source.config).stem
            assert path.name == quickstart.last_checkpoint(source.name, {})
            redirected += 1
    assert redirected >= 5


def test_smoke_is_short_and_small(quickstart):
    steps = by_name(quickstart.plan(Path(), [0], smoke=True))
    iterations = quickstart.SMOKE_OPTIONS['train_cfg.max_iters']
    assert steps['seed_0/st'].checkpoint == f'iter_{iterations}.pth'
    assert f'train_cfg.max_iters={iterations}' in steps['seed_0/rgb'].command
    assert 'rgb=16' in steps['data'].command


def test_training_is_finished_when_its_last_checkpoint_is_written(
    quickstart, tmp_path
):
    step = by_name(quickstart.plan(tmp_path, [0], smoke=True))['seed_0/rgb']
    step.folder.mkdir(parents=True)
    (step.folder / 'iter_4.pth').touch()  # perhaps half of it
    assert not step.finished()
    last = step.folder / 'last_checkpoint'
    last.write_text(f'{step.folder}/iter_2.pth')
    assert not step.finished()
    last.write_text(f'{step.folder}/iter_4.pth')
    assert step.finished()


def test_test_is_finished_with_metrics_and_predictions(quickstart, tmp_path):
    steps = by_name(quickstart.plan(tmp_path, [0], smoke=False))
    step = steps['seed_0/test_rgb']
    write_metrics(step, {'voc/mAP': 0.5})
    assert not step.finished()
    (step.folder / 'predictions.pkl').touch()
    assert step.finished()


# -- running ----------------------------------------------------------------


@pytest.mark.parametrize(
    ('log', 'progress'),
    [
        (
            '11/20 12:17:18 - mmengine - INFO - Iter(train) [1500/2000]  '
            'base_lr: 1.0000e-03 lr: 1.0000e-03  eta: 1:00:47  time: 0.0545\n'
            '11/20 12:17:49 - mmengine - INFO - Iter(val) [100/150]    '
            'eta: 0:00:03  time: 0.0125\n',
            (1500, 2000, 3647),
        ),
        (
            'mmengine - INFO - Iter(test) [ 50/150]    eta: 0:00:05  time: 0\n'
            'mmengine - INFO - Iter(test) [100/150]    eta: 0:00:02  time: 0\n'
            'INFO - Iter(test) [150/150]    voc/mAP: 0.3057  voc/AP_box: 0.3',
            (100, 150, 2),
        ),
        (
            '\r[>>>>   ] 1793/1800, 34.1 task/s, elapsed: 53s, ETA:     1s'
            '\r[>>>>>  ] 1794/1800, 34.1 task/s, elapsed: 53s, ETA:    12s',
            (1794, 1800, 12),
        ),
        ('loading annotations into memory...\nDone (t=0.00s)\n', None),
    ],
)
def test_progress(running, log, progress):
    assert running.read_progress(log) == progress


def test_live_line_of_a_terminal(running, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    monkeypatch.setenv('COLUMNS', '12')
    terminal = running.Terminal()
    terminal.show('a' * 50)
    terminal.say('done')
    clear = '\r\033[K'
    assert capsys.readouterr().out == f'{clear}{"a" * 11}{clear}done\n'


def test_lines_without_a_terminal(running, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(running.time, 'monotonic', lambda: now[0])
    terminal = running.Terminal()
    for now[0] in (1.0, 5.0, 10.9, 11.1):
        terminal.show(f'after {now[0]}')
    assert capsys.readouterr().out == '    after 1.0\n    after 11.1\n'


@pytest.fixture
def make_step(running, tmp_path):
    """Make steps that run Python code in a folder and leave a file there."""

    def make(name, code='', needs=(), result='result', **kwargs):
        code = f'import os, time\n{code}\nopen({result!r}, "w")'
        run = f'os.makedirs({name!r}, exist_ok=True); os.chdir({name!r})'
        command = (sys.executable, '-c', f'import os\n{run}\n{code}')
        folder = tmp_path / name
        return running.Step(
            name,
            f'About {name}.',
            command,
            folder,
            tmp_path / f'{name}.log',
            1,
            needs,
            results=('result',),
            **kwargs,
        )

    old = Path.cwd()
    os.chdir(tmp_path)
    yield make
    os.chdir(old)


def outcome(step):
    return f': {step.name} gave something'


WAIT = """
open('here', 'w')
while not os.path.exists('../{}/here'): time.sleep(0.02)"""


def test_independent_steps_run_at_the_same_time(running, make_step, capsys):
    first = make_step('first', WAIT.format('second'))
    second = make_step('second', WAIT.format('first'))
    third = make_step('third', 'os.stat("../second/result")', ('second',))
    running.run_steps([first, second, third], 2, outcome)
    out = capsys.readouterr().out
    assert f'[1/3] About first. (33 % of the work)\n    {first}' in out
    assert f'output: {first.log}' in out
    assert re.search(
        r'\[3/3\] third done in \d:\d\d: third gave something', out
    )
    running.run_steps([first, second, third], 2, outcome)
    assert 'About' not in capsys.readouterr().out


def test_only_a_step_that_checks_itself_runs_again(running, make_step, capsys):
    steps = [make_step('a', always=True), make_step('b')]
    for names in (['a', 'b'], ['a']):
        running.run_steps(steps, 1, outcome)
        out = capsys.readouterr().out
        assert re.findall(r'About (\w)', out) == names


def test_one_core_runs_one_step_at_a_time(running, make_step):
    busy = 'os.mkdir("../busy"); time.sleep(0.3); os.rmdir("../busy")'
    steps = [make_step('a', busy), make_step('b', busy)]
    running.run_steps(steps, 1, outcome)
    assert all(step.finished() for step in steps)


SLEEP = 'open("pid", "w").write(str(os.getpid())); time.sleep(100)'


def wait_for_file(path):
    return f'while not os.path.exists({str(path)!r}): time.sleep(0.02)'


def is_running(pid_file):
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return False
    return True


def test_failure_shows_the_log_and_stops_the_rest(
    running, make_step, tmp_path
):
    pid = tmp_path / 'slow' / 'pid'
    slow = make_step('slow', SLEEP)
    bad = make_step(
        'bad', f'{wait_for_file(pid)}\nprint("before")\nraise OSError("disk")'
    )
    after = make_step('after', needs=('bad',))
    with pytest.raises(SystemExit) as error:
        running.run_steps([slow, bad, after], 2, outcome)
    message = str(error.value)
    assert f'bad failed (exit status 1). The end of {bad.log}:' in message
    assert '    before' in message
    assert 'OSError: disk' in message
    assert not is_running(pid)
    assert not after.log.exists()


def test_killed_and_empty_handed_steps(running, make_step):
    with pytest.raises(SystemExit, match=r'was killed \(SIGKILL; out of mem'):
        running.run_steps(
            [make_step('a', 'os.kill(os.getpid(), 9)')], 1, outcome
        )
    with pytest.raises(SystemExit, match='b ended without its results in '):
        running.run_steps([make_step('b', result='other')], 1, outcome)


def test_interrupt_stops_the_processes(running, make_step, tmp_path):
    pid = tmp_path / 'slow' / 'pid'
    slow = make_step('slow', SLEEP)
    interrupt = f'{wait_for_file(pid)}\nos.kill(os.getppid(), 2)'
    with pytest.raises(KeyboardInterrupt):
        running.run_steps([slow, make_step('b', interrupt)], 2, outcome)
    assert not is_running(pid)
    assert not slow.finished()


# -- reporting --------------------------------------------------------------


def write_metrics(step, metrics):
    path = step.folder / '20260101_000000' / '20260101_000000.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**metrics, 'data_time': 0.01, 'time': 0.05}))


def write_tests(report, steps, seed, mean_aps):
    for test, mean_ap in zip(report.DETECTORS.values(), mean_aps, strict=True):
        metrics = {'voc/mAP': mean_ap, 'voc/AP_box': 0.1, 'voc/AP_lamp': 0.2}
        write_metrics(by_name(steps)[f'seed_{seed}/{test}'], metrics)
    write_metrics(
        by_name(steps)[f'seed_{seed}/test_transfer'],
        {'transfer/explained_variance_pool5': 0.3523, 'transfer/loss': 0.3},
    )


def test_newest_metrics_count(quickstart, report, tmp_path):
    steps = by_name(quickstart.plan(tmp_path, [0], smoke=False))
    step = steps['seed_0/test_rgb']
    write_metrics(step, {'voc/mAP': 0.1})
    later = step.folder / '20260102_000000' / '20260102_000000.json'
    later.parent.mkdir()
    later.write_text('{"voc/mAP": 0.2}')
    assert report.read_metrics(step) == {'voc/mAP': 0.2}


def test_margins_of_the_orders(report):
    mean_ap = dict(zip(report.DETECTORS, (30, 20, 25, 28, 35), strict=True))
    results = {name: {'mAP': value} for name, value in mean_ap.items()}
    # transferred - copied, transferred - random, fused - RGB, the best
    assert report.margins(results) == [3, 8, 5]


def test_report(quickstart, report, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        report, 'draw_pictures', lambda *args: drawn.append(args)
    )
    steps = quickstart.plan(tmp_path, [0, 1], smoke=False)
    write_tests(report, steps, 0, (0.30, 0.20, 0.25, 0.28, 0.35))
    write_tests(report, steps, 1, (0.30, 0.20, 0.29, 0.28, 0.27))
    report.write_report(tmp_path, steps, [0, 1], '# Head\n', 'fusion.py')
    assert drawn == [(tmp_path, [0, 1], 'fusion.py')]
    text = (tmp_path / 'results.md').read_text()
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
    assert all(str(step) in text for step in steps)
    with (tmp_path / 'results.csv').open(newline='') as file:
        fused = [r for r in csv.DictReader(file) if 'fused' in r['detector']]
    assert [row['seed'] for row in fused] == ['0', '1', 'mean', 'std']
    assert float(fused[2]['mAP']) == pytest.approx(31)


def test_report_of_other_seeds_is_not_current(report, tmp_path):
    for name in report.FILES:
        (tmp_path / name).write_text('# Quickstart, seeds 0 1\n')
    assert report.is_current(tmp_path, [], '# Quickstart, seeds 0 1\n')
    assert not report.is_current(tmp_path, [], '# Quickstart, seeds 0\n')
    (tmp_path / report.PICTURE).unlink()
    assert not report.is_current(tmp_path, [], '# Quickstart, seeds 0 1\n')


# -- all of it --------------------------------------------------------------


@pytest.mark.slow
def test_smoke_run_interrupted_continued_and_repeated(tmp_path):
    command = [sys.executable, TOOL, '--smoke', '--work-dir', 'wd']
    home = tmp_path / 'wd' / 'smoke'
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as process:
        while not (home / 'seed_0' / 'random.log').exists():
            assert process.poll() is None
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 1
    out = run(command, tmp_path)
    assert '/12] seed_0/test_fusion done in' in out
    text = (home / 'results.md').read_text()
    assert 'the numbers mean nothing' in text
    for name in ('results.csv', 'transfer_curve.png', 'detections.png'):
        assert (home / name).stat().st_size > 0
    again = run(command, tmp_path)
    assert 'steps' not in again
    table = text.partition('## Pictures')[0].strip()
    assert table in out
    assert table in again


def run(command, folder):
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=True
    ).stdout
