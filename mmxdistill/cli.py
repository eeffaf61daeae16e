"""How a command ends: its status, or one line that says what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ['run_command']

# What a shell reports for Ctrl-C.
_INTERRUPTED = 130


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and exit with its status, or say what is wrong.

    Errors that users can mend (a file, an option, a package) end it with one
    line, others with their traceback.

    Args:
        command (Callable): Returns the exit status.
    """
    try:
        status = command() or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(
            '\nInterrupted: the same command goes on from here.',
            file=sys.stderr,
        )
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
