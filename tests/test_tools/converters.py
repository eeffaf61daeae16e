"""Runs a converter in this process, as from the command line."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools/dataset_converters'
sys.path.insert(0, str(ROOT / 'tests/test_converters'))
sys.path.insert(0, str(ROOT / 'tests/test_converters/test_sunrgbd'))


def runner(name, monkeypatch):
    """Function that runs a tool with one job; returns the exit status.

    That is the message of an error if it ends with one, as in a shell.
    """
    monkeypatch.setattr(sys, 'path', list(sys.path))
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def run(*args):
        argv = [*map(str, args), '--jobs', '1']
        with pytest.raises(SystemExit) as stop:
            tool.main(argv)
        return stop.value.code

    return run


def files(folder):
    """Files below a folder, also through links."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file()
    }


def snapshot(folder):
    """Content and time of all files."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob('*')
        if path.is_file()
    }
