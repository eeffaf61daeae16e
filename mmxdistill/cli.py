"""How a command ends: its status, or one line that says what is wrong."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

__all__ = ['own_message', 'run_command']

_PACKAGE = str(Path(__file__).resolve().parent) + os.sep
# How PyTorch hands on what a process of a DataLoader raised.
_IN_WORKER = re.compile(r'Caught \w+ in DataLoader worker process')
_FRAME = re.compile(r'^ *File "(.+)", line \d+', re.MULTILINE)
_LAST_LINE = re.compile(r'^[\w.]+: (.*)\Z', re.MULTILINE | re.DOTALL)

# What a shell reports for Ctrl-C.
_INTERRUPTED = 130


def own_message(error: BaseException) -> str | None:
    """Message of an error that this package has raised for its user.

    Args:
        error (BaseException): What was caught, also out of a worker process
            of PyTorch's ``DataLoader``.

    Returns:
        str | None: The message, which names the file or the key; None for an
        error of somebody else, of which one needs the traceback.
    """
    if not isinstance(error, (KeyError, OSError, ValueError)):
        return None
    text = str(error)
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])  # str() of the error is a quoted text
    if _IN_WORKER.match(text):
        places = list(_FRAME.finditer(text))
        if not places:
            return None
        place = places[-1][1]
        last = _LAST_LINE.search(text, places[-1].end())
        text = last[1].rstrip() if last else text
        if isinstance(error, KeyError) and text[:1] in ('"', "'"):
            text = str(ast.literal_eval(text))
    else:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = trace.tb_frame.f_code.co_filename if trace else ''
    if not os.path.realpath(place).startswith(_PACKAGE):
        return None
    # A key alone is a fault of ours.
    return text if ' ' in text else None


def run_command(
    command: Callable[[], int | None], resumes: bool = False
) -> NoReturn:
    """Run a command and exit with its status, or say what is wrong.

    Errors that users can mend (a file, an option, a package) end it with one
    line, others with their traceback.

    Args:
        command (Callable): Returns the exit status.
        resumes (bool): After Ctrl-C the same command goes on where it was,
            instead of starting again. Defaults to False.
    """
    for stream in (sys.stdout, sys.stderr):  # names need not be UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        status = command() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        ending = 'goes on from here' if resumes else 'starts again'
        print(f'\nInterrupted: the same command {ending}.', file=sys.stderr)
        status = _INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has gone
        # Nothing more to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except KeyError as error:  # whose text is the quoted message
        message = str(error.args[0] if error.args else '')
        if ' ' not in message:  # a key: a fault of ours
            raise
        raise SystemExit(f'Error: {message}') from None
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    raise SystemExit(status)
