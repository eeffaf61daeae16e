"""Commands behave as those of the interpreter that it stands in for."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from warm_python import warm_python

SCRIPT = """
import os, sys
print(__name__, sys.argv[1:], os.getcwd(), os.environ['KEY'], sys.stdin.read())
sys.exit(3)
"""


def run(python, *words, **kwargs):
    return subprocess.run(
        [python, *words],
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


@pytest.mark.parametrize(
    'words',
    [
        ['script.py', 'a', '-b'],
        ['-u', 'script.py'],
        ['-m', 'script', 'a'],
        ['-c', 'import sys; print(sys.argv, sys.path[0]); sys.exit("bad")'],
        ['-c', 'import os; os.kill(os.getpid(), 9)'],
        ['-c', 'import os; os.kill(os.getpid(), 15)'],
        ['-I', '-c', 'import sys; print(sys.flags.isolated)'],
    ],
)
def test_like_the_real_one(tmp_path, words):
    (tmp_path / 'script.py').write_text(SCRIPT)
    given = dict(
        cwd=tmp_path, env={**os.environ, 'KEY': 'value'}, input='typed'
    )
    real, warm = (
        run(python, *words, **given)
        for python in (sys.executable, warm_python())
    )
    assert warm.returncode == real.returncode
    assert (warm.stdout, warm.stderr) == (real.stdout, real.stderr)


@pytest.mark.skipif(sys.platform != 'linux', reason='it is the real one')
def test_has_the_stack_and_nothing_of_ours():
    code = (
        'import sys; print([name in sys.modules for name in '
        "('torch', 'mmcv.ops', 'mmdet.models', 'mmxdistill')])"
    )
    done = run(warm_python(), '-c', code)
    assert done.stdout == '[True, True, True, False]\n'


def test_ends_with_the_program(tmp_path):
    """What is killed does not go on: a pipe that it holds is closed."""
    code = 'print("up", flush=True); import time; time.sleep(1000)'
    with subprocess.Popen(
        [warm_python(), '-c', code], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b'up\n'
        process.kill()
        assert process.stdout.read() == b''
    assert process.returncode == -signal.SIGKILL


def test_uncaught_error():
    done = run(warm_python(), '-c', 'raise ValueError(1)')
    assert done.returncode == 1
    assert done.stderr.endswith('ValueError: 1\n')
    assert Path(warm_python()).is_file()
