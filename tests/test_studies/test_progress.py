import json
import re

import pytest

from mmxdistill.studies import progress
from mmxdistill.studies.progress import Progress, read_progress


@pytest.mark.parametrize(
    ('log', 'expected'),
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
def test_progress_of_a_log(log, expected):
    assert read_progress(log) == expected


@pytest.fixture
def make(tmp_path):
    def make(live):
        names = ('a', 'b')
        return Progress(
            [
                dict(
                    name=name,
                    shows=f'About {name}.',
                    command=f'python {name}.py',
                    folder=str(tmp_path / name),
                    log=str(tmp_path / f'{name}.log'),
                    log_name=f'wd/{name}.log',
                    seconds=seconds,
                )
                for name, seconds in zip(names, (30, 10), strict=True)
            ],
            live,
        )

    return make


def test_a_step_is_its_command_and_what_came_out(make, tmp_path, capsys):
    shown = make(live=False)
    shown.start('a')
    assert capsys.readouterr().out == (
        '\n[1/2] About a. (75 % of the work)\n    python a.py\n'
        '    output: wd/a.log\n'
    )
    result = tmp_path / 'a' / '20260101_000000' / '20260101_000000.json'
    result.parent.mkdir(parents=True)
    result.write_text(json.dumps({'voc/mAP': 0.3057}))
    shown.finish('a')
    out = capsys.readouterr().out
    assert re.fullmatch(r'\[1/2\] a done in 0:0\d: mAP 30.6 %\n', out)


@pytest.mark.parametrize(
    ('error', 'why'),
    [
        ("'x' died with <Signals.SIGKILL: 9>.", 'was killed (SIGKILL; out'),
        ("'x' returned non-zero exit status 3.", 'failed (exit status 3)'),
        ('who knows', 'failed. The end'),
    ],
)
def test_failure_shows_the_end_of_the_log(make, tmp_path, error, why, capsys):
    shown = make(live=False)
    shown.start('a')
    shown.start('b')
    (tmp_path / 'b.log').write_text('first\n' * 20 + 'OSError: disk\n')
    shown.explain(error)
    shown.fail('b')
    out = capsys.readouterr().out
    assert f'b {why}' in out
    assert 'The end of wd/b.log:' in out
    assert '    OSError: disk\n' in out
    assert out.count('first') == 14
    assert 'Still running: a' in out


def test_live_line_of_a_terminal(make, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('COLUMNS', '32')
    shown = make(live=True)
    shown.tick()
    assert capsys.readouterr().out == ''
    shown.start('a')
    shown.start('b')
    (tmp_path / 'b.log').write_text('\r[>] 7/9, 3 task/s, ETA:    61s')
    capsys.readouterr()
    shown.tick()
    clear = '\r\033[K'
    assert capsys.readouterr().out == f'{clear}a: starting | b: 7/9, 1:01 left'


def test_lines_without_a_terminal(make, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    shown = make(live=False)
    shown.start('a')
    capsys.readouterr()
    for now[0] in (1.0, 5.0, 10.9, 11.1):
        shown.tick()
    assert capsys.readouterr().out == '    a: starting\n'
