"""A Python interpreter that has imported PyTorch and mmdet already.

Importing them takes most of the time of a short command. One server per
process of the tests imports them, and nothing of mmxdistill; for each command
it forks. What runs is the real script, in a process of its own, with the
arguments, environment, folder, streams, exit status and signals of the
command. :func:`warm_python` is the path of a program that takes the place of
``sys.executable`` for ``script.py ...``, ``-m module ...`` and
``-c code ...``; all else it hands to the real interpreter.
"""

from __future__ import annotations

import atexit
import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# The program: sends the server what it was started with, and ends as the
# forked process does. Killed, it closes the socket, which ends that process.
_CLIENT = """#!{python} -IS
import json, os, socket, sys
words = sys.argv[1:]
while words[:1] == ['-u']:
    del words[0]
if not words or (words[0][0] == '-' and words[0] not in ('-c', '-m')):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
request = dict(words=words, folder=os.getcwd(), env=dict(os.environ))
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b'+'], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b'\\0')
    status = int(server.recv(9) or 1)
if status < 0:
    import signal
    if -status != signal.SIGKILL:
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@functools.cache
def warm_python() -> str:
    """Start the server of this process, once; return its program's path."""
    if not hasattr(os, 'pidfd_open'):  # not on Linux
        return sys.executable
    folder = tempfile.TemporaryDirectory(prefix='warm')
    address = str(Path(folder.name) / 'socket')
    program = Path(folder.name) / 'python'
    program.write_text(_CLIENT.format(python=sys.executable, address=address))
    program.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address, str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, 'PYTHONPATH': ''},
    )

    def stop() -> None:
        server.stdin.close()  # which the server takes as its end
        server.wait()
        folder.cleanup()

    atexit.register(stop)
    # What the stack says when it is imported comes first.
    if b'ready\n' not in iter(server.stdout.readline, b''):
        raise RuntimeError('the server of the tests did not start')
    return str(program)


def _serve(address: str) -> dict:
    """Fork for each request; return it in the process that is to run it."""
    import json
    import select
    import signal
    import socket

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    print('ready', flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            os._exit(0)
        connection, _ = listener.accept()
        if not os.fork():
            break
        connection.close()
    # The process that watches over the command.
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    content = b''
    while not content.endswith(b'\0'):
        content += connection.recv(1 << 16)
    child = os.fork()
    if not child:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        return json.loads(content[:-1])
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    ended = os.pidfd_open(child)
    ready, _, _ = select.select([connection, ended], [], [])
    if ended not in ready:  # the program was killed
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        connection.sendall(str(status).encode())
    finally:
        os._exit(0)


def _run(words: list[str], folder: str, env: dict[str, str]) -> None:
    """Do what the interpreter does with a command line."""
    import contextlib
    import importlib
    import runpy

    # Those of the server know whether its own streams were files.
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, 'w', closefd=False)
    sys.stderr = open(2, 'w', buffering=1, closefd=False)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    paths = [p for p in env.get('PYTHONPATH', '').split(os.pathsep) if p]
    kind = words[0] if words[0] in ('-c', '-m') else ''
    first = '' if kind else str(Path(words[0]).resolve().parent)
    sys.path[:] = [first, *map(os.path.abspath, paths), *sys.path[1:]]
    with contextlib.suppress(ImportError):
        importlib.import_module('sitecustomize')
    sys.argv[:] = words[1:] if kind == '-m' else words
    if kind == '-c':
        sys.argv[:] = ['-c', *words[2:]]
        exec(compile(words[1], '<string>', 'exec'), {'__name__': '__main__'})
    elif kind == '-m':
        runpy.run_module(words[1], run_name='__main__', alter_sys=True)
    else:
        runpy.run_path(words[0], run_name='__main__')


if __name__ == '__main__':
    import gc
    import importlib

    for module in (
        *('mmcv.ops', 'mmdet.apis', 'mmdet.datasets', 'mmdet.evaluation'),
        *('mmdet.models', 'mmengine.runner', 'matplotlib.pyplot', 'scipy.io'),
    ):
        importlib.import_module(module)
    # For the logs; formatting it takes seconds.
    importlib.import_module('mmengine.config').Config.pretty_text = ''
    gc.freeze()  # what is imported stays shared with the forked processes
    given = _serve(sys.argv[1])
    sys.executable = sys.argv[2]  # also for the processes that it starts
    _run(given['words'], given['folder'], given['env'])
