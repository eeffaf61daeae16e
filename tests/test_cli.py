"""How commands end, and which errors they tell in a line."""

import io
import os
import sys

import cv2
import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmxdistill.cli import own_message, run_command
from mmxdistill.datasets.transforms import LoadModalities


class Depth:
    """A data set whose depth images have lost their distances."""

    def __init__(self, path, **record):
        self.info = dict(img_path=str(path), **record)
        steps = dict(depth=[dict(type='mmxdistill.LoadDepthFromFile')])
        self.load = LoadModalities(steps)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.load(dict(self.info))


class Broken(Depth):
    """A fault of somebody's program."""

    def __getitem__(self, index):
        return np.zeros(3).reshape(2, 2)


def caught(function):
    with pytest.raises((KeyError, OSError, ValueError)) as error:
        function()
    return error.value


@pytest.mark.parametrize('workers', [0, 1])
def test_own_errors_are_a_line(tmp_path, workers):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.full((4, 5), 9, np.uint8))
    for data, message in (
        (Depth(path), f"depth image '{path}' must be a 16-bit or float"),
        (Depth(tmp_path / 'none.png'), f"'{tmp_path}/none.png' does not"),
        (Depth(path, modalities=('rgb',)), "modality 'rgb' is wanted; Load"),
    ):
        loader = DataLoader(data, num_workers=workers)
        text = own_message(caught(lambda one=loader: next(iter(one))))
        assert text.startswith(message)
        assert '\n' not in text
    loader = DataLoader(Broken(path), num_workers=workers)
    assert own_message(caught(lambda: next(iter(loader)))) is None


def test_errors_of_others_keep_their_traceback():
    assert own_message(caught(lambda: {}['a b'])) is None
    assert own_message(RuntimeError('a b')) is None


@pytest.mark.parametrize(
    ('resumes', 'text'), [(False, 'starts again'), (True, 'goes on from here')]
)
def test_interrupted(capsys, resumes, text):
    def command():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as error:
        run_command(command, resumes)
    assert error.value.code == 130
    assert f'the same command {text}.' in capsys.readouterr().err


def test_names_that_are_not_utf8(monkeypatch):
    """They are printed, whatever the encoding of the terminal."""
    out = io.TextIOWrapper(io.BytesIO(), 'ascii')
    monkeypatch.setattr(sys, 'stdout', out)
    name = os.fsdecode(b'caf\xc3\xa9 \xff')
    with pytest.raises(SystemExit) as end:
        run_command(lambda: print(name))
    assert end.value.code == 0
    assert out.buffer.getvalue() == b'caf\\xe9 \\udcff\n'
