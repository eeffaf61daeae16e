"""What Snakemake and tools/Snakefile do with the steps of a study."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mmxdistill.studies import engine
from mmxdistill.studies.jobs import Step, outdated

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = ROOT / 'tools' / 'Snakefile'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder whose name has to be quoted, and no installed package."""
    monkeypatch.delenv('PYTHONPATH', raising=False)
    folder = tmp_path / "some folder's $HOME"
    folder.mkdir()
    monkeypatch.chdir(folder)


def step(name, code, needs=(), **settings):
    """Python code that is run in the current folder; counts its runs."""
    code = f'open({name + ".runs"!r}, "a").write("x")\n{code}'
    return Step(
        name=name,
        shows=f'About {name}.',
        command=(sys.executable, '-c', code),
        home=Path('wd'),
        seconds=1,
        needs=needs,
        settings=settings,
    )


def runs(*names):
    return [len(Path(f'{n}.runs').read_text()) for n in names]


def run(steps, cores=2, *options):
    engine.run_steps(steps, SNAKEFILE, cores, options)


def wait_for(path):
    return f"""
import os, time
while not os.path.exists({str(path)!r}): time.sleep(0.02)"""


def test_order_side_by_side_and_only_what_is_missing(capfd):
    # Each of the first two waits until the other runs.
    a = step('a', wait_for('b.runs'))
    b = step('b', wait_for('a.runs'), lr=1)
    c = step('c', 'open("wd/b/begun")', ['b'])
    run([a, b, c])
    out = capfd.readouterr().out
    assert f'[1/3] About a. (33 % of the work)\n    {a}' in out
    assert 'output: wd/a.log' in out
    assert '[3/3] c done in 0:0' in out
    assert runs('a', 'b', 'c') == [1, 1, 1]

    Path('wd/b/iter_1.pth').touch()
    Path('wd/c/iter_1.pth').touch()
    run([a, b, c])
    assert capfd.readouterr().out == ''

    # Another setting: it and what needs it begin anew; a new step is added.
    b = step('b', '', lr=2)
    run([a, b, c, step('d', '')])
    assert runs('a', 'b', 'c', 'd') == [1, 2, 2, 1]
    assert not list(Path('wd').rglob('*.pth'))


def test_what_a_step_wrote_is_gone(capfd):
    a = replace(step('a', 'open("made", "w")'), writes=('made',))
    b = step('b', 'open("made")', ['a'])
    run([a, b])
    Path('made').unlink()
    with pytest.raises(SystemExit) as error:
        run([a, b])
    assert "'made' is gone, which step 'a'" in str(error.value)
    command = str(error.value).partition(':\n')[2]
    subprocess.run(command, shell=True, check=True)
    run([a, b])
    assert runs('a', 'b') == [2, 1]
    Path('made').unlink()
    run([replace(a, settings=dict(lr=2)), b])  # to be made anew
    assert runs('a', 'b') == [3, 2]


def test_failure_is_told_and_the_rest_is_kept(capfd):
    fails = 'print("so far"); assert not open("wd/a/half", "x")'
    a = step('a', fails)
    b = step('b', 'import os; os.kill(os.getpid(), 9)')
    with pytest.raises(SystemExit, match='continues with what is missing'):
        run([a, b, step('c', '', ['a'])], 1, '--keep-going')
    out = capfd.readouterr().out
    assert 'a failed (exit status 1). The end of wd/a.log:' in out
    assert out.index('About a') < out.index('About b')  # by their order
    assert '    so far\n' in out
    assert '    AssertionError\n' in out
    assert 'b was killed (SIGKILL; out of memory?)' in out
    assert not Path('c.runs').exists()
    # Trained by half: that is not removed, and it resumes from there.
    run([step('a', 'open("wd/a/half")'), step('c', '', ['a'])])
    assert runs('a', 'c') == [2, 1]


def test_what_needs_a_changed_step_that_fails_is_not_done():
    def steps(code, **settings):
        first = step('a', code, **settings)
        return [first, step('b', '', ['a']), step('c', '', ['b'])]

    run(steps('', lr=1))
    assert outdated(steps('', lr=1)) == []
    with pytest.raises(SystemExit):
        run(steps('assert 0', lr=2), 1, '--keep-going')
    assert not any(s.done.exists() for s in steps(''))
    run(steps('', lr=1))
    assert runs('b', 'c') == [2, 2]


def is_running(pid):
    """Also False for a process that nobody has waited for."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(')')[2].split()[0] != 'Z'


def test_a_killed_run_leaves_no_process_and_continues():
    slow = (
        'import os, time\nif not os.path.exists("wd/a/half"):\n'
        ' open("wd/a/half", "w"); open("pid", "w").write(str(os.getpid()))\n'
        ' time.sleep(1000)'
    )
    steps = [step('a', slow)]
    with subprocess.Popen(
        [sys.executable, '-c', RUN.format(steps=steps)],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    ) as process:
        pid = wait_for_number(Path('pid'))
        with pytest.raises(SystemExit, match='Another process works in'):
            run(steps)
        process.kill()
    wait_until(lambda: not is_running(pid))
    run(steps)
    assert runs('a') == [2]


RUN = f"""
from pathlib import PosixPath
from mmxdistill.studies.engine import run_steps
from mmxdistill.studies.jobs import Step, outdated
run_steps({{steps}}, PosixPath({str(SNAKEFILE)!r}), 1)
"""


def wait_until(condition):
    end = time.monotonic() + 600  # a process that is gone, not a slow one
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def wait_for_number(path):
    wait_until(lambda: path.is_file() and path.read_text())
    return int(path.read_text())


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_processes(number):
    code = f'echo $BASHPID > pid; kill -{number} {os.getpid()}; sleep 1000'
    with pytest.raises(KeyboardInterrupt):
        engine._run(['bash', '-c', f'({code})& wait'])
    pid = wait_for_number(Path('pid'))
    wait_until(lambda: not is_running(pid))


def test_settings_are_rewritten_only_if_they_change(tmp_path):
    path = tmp_path / 'settings.json'

    def write(**more):
        # A function has another address in every process.
        content = dict(kind=Path, made_by=lambda: 0, path=tmp_path, **more)
        engine._write_if_changed(path, content)
        now = path.stat().st_mtime_ns
        os.utime(path, (0, 0))  # the next time may be within the same tick
        return now

    assert write() > 0
    assert write() == 0
    assert write(lr=1) > 0


def test_name_that_snakemake_would_misread(monkeypatch):
    Path('{a}').mkdir()
    monkeypatch.chdir('{a}')
    with pytest.raises(SystemExit, match='choose another folder'):
        run([step('a', '')])


def test_without_snakemake(monkeypatch):
    monkeypatch.setattr(engine, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match="pip install 'snakemake>=9'"):
        run([step('a', '')])
