"""The mean over the splits of a data set."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / (
    'tools/analysis_tools/average_splits.py'
)


@pytest.fixture
def run(monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location('average_splits', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['average_splits', *map(str, args)])
        with pytest.raises(SystemExit) as end:
            tool.main()
        if end.value.code:
            raise end.value
        return capsys.readouterr().out

    return call


def write(folder, time, **ap):
    path = folder / time / f'{time}.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {f'voc/{name}': value for name, value in ap.items()}
    path.write_text(json.dumps(dict(content, data_time=0.1, time=2.0)))
    return path


@pytest.fixture
def runs(tmp_path):
    for i in range(3):
        write(
            tmp_path / f'split{i + 1}',
            '20260101_000000',
            mAP=0.2 + 0.1 * i,
            AP_run=0.5,
            AP_walk=0.123 * i,
        )
    return [tmp_path / f'split{i + 1}' for i in range(3)]


def rows(table):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]


def test_table(run, runs):
    header, _, *body = rows(run(*runs))
    assert header == ['AP (%)', 'split1', 'split2', 'split3', 'mean']
    assert body == [
        ['run', '50.0', '50.0', '50.0', '50.0'],
        ['walk', '0.0', '12.3', '24.6', '12.3'],
        ['mAP', '20.0', '30.0', '40.0', '30.0'],
    ]


def test_a_split_without_objects_of_a_class(run, runs):
    absent = float('nan')
    write(runs[0], '20260102_000000', mAP=0.2, AP_run=0.5, AP_walk=absent)
    *_, walk, _ = rows(run(*runs))
    assert walk == ['walk', 'nan', '12.3', '24.6', '18.5']


def test_newest_result(run, runs):
    write(runs[0], '20260203_000000', mAP=0.9, AP_run=0, AP_walk=0)
    # What training writes is no result.
    (runs[0] / '20270101_000000/vis_data').mkdir(parents=True)
    (runs[0] / '20270101_000000/vis_data/20270101_000000.json').write_text('')
    assert rows(run(*runs))[-1][1] == '90.0'


@pytest.mark.parametrize('content', ['', '[]', '{"time": 1}', '{"a": 1}\n{}'])
def test_no_result(run, runs, content):
    path = write(runs[1], '20260203_000000')
    path.write_text(content)
    with pytest.raises(SystemExit, match='holds no voc/mAP'):
        run(*runs)


def test_wrong_runs(run, runs, tmp_path):
    with pytest.raises(SystemExit, match='give the --work-dir'):
        run(*runs, tmp_path)
    with pytest.raises(SystemExit, match='the same result twice'):
        run(runs[0], runs[0])
    other = write(tmp_path / 'other', '20260101_000000', mAP=0.1, AP_sit=0.1)
    with pytest.raises(SystemExit, match='not of the same classes'):
        run(*runs, other)
