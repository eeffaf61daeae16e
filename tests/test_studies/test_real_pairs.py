"""Studies on real pairs: their rows, intervals and report."""

import importlib.util
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mmxdistill import config_path
from mmxdistill.studies import real_report
from mmxdistill.studies.jobs import Comparison, Evaluation
from mmxdistill.studies.real_pairs import (
    Arm,
    Claim,
    TestSet,
    draw_indices,
    plan,
)
from mmxdistill.studies.real_studies import STUDIES

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.mark.parametrize('study', STUDIES.values(), ids=list(STUDIES))
def test_rows_fit(study):
    jobs = [*study.jobs(0), *study.once]
    names = {job.name for job in jobs}
    assert len(names) == len(jobs)
    kept = {
        job.name
        for job in jobs
        if isinstance(job, Evaluation) and job.predictions
    }
    compared = {job.name for job in jobs if isinstance(job, Comparison)}
    assert compared == {study.comparison} - {''}
    assert set(study.transfers) <= names
    for job in jobs:
        assert Path(config_path(job.config)).is_file()
    for test in study.tests:
        assert Path(config_path(test.config)).is_file()
        arms = {arm.test for arm in test.arms}
        assert arms <= kept
        assert {c.better for c in test.claims} <= arms
        assert {c.worse for c in test.claims} <= arms
        assert set(test.sheet) <= arms


@pytest.mark.parametrize('study', STUDIES.values(), ids=list(STUDIES))
def test_arms_of_a_seed_see_the_same_labels(study, tmp_path):
    steps = {s.name: s for s in plan(study, tmp_path, [3, 4], TOOLS)}
    labels = {}
    for name in steps:
        if name.startswith('seed') and '/test_' in name:
            training = steps[name.replace('test_', '')]
            words = [w for w in training.command if '.indices=' in w]
            seed, arm = name.split('/')
            number = arm.rpartition('_')[2]
            if not number.isdigit():  # not drawn
                continue
            labels.setdefault((seed, number), set()).update(words)
            assert words[0].count(',') == int(number) - 1
            assert ' ' not in words[0]
    assert all(len(words) == 1 for words in labels.values())
    few = [words for (_, n), words in labels.items() if n == '20']
    assert not few or few[0] != few[1]


def test_list_prints_the_commands(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location(
        'real_pairs_tool', TOOLS / 'analysis_tools' / 'real_pairs.py'
    )
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    words = ['rgb_flow', '--list', '--seeds', '5', '--work-dir', str(tmp_path)]
    tool.run(tool.parse_args(words))
    lines = capsys.readouterr().out.splitlines()
    study = STUDIES['rgb_flow']
    steps = plan(study, tmp_path / 'rgb_flow', [5], TOOLS)
    assert lines == list(map(str, steps))
    assert not list(tmp_path.iterdir())


def test_fewer_labels_are_some_of_more():
    few, many = (draw_indices(50, n, seed=1) for n in (5, 20))
    assert set(few) < set(many) < set(range(50))
    assert few == sorted(few) == draw_indices(50, 5, seed=1)
    assert draw_indices(50, 50, 2) == list(range(50))


BOX = np.array([[10.0, 10, 30, 50]])
NOTHING = dict(
    bboxes=np.zeros((0, 4)), labels=np.zeros(0, int), scores=np.zeros(0)
)
HIT = dict(bboxes=BOX, labels=np.zeros(1, int), scores=np.ones(1))
# A foreign class, and a box that may be found or not.
FOREIGN = dict(
    bboxes=np.vstack([BOX, BOX + 100, BOX]),
    labels=np.array([1, 0, 0]),
    scores=np.array([0.9, 0.8, 0.7]),
)
TEST = TestSet(
    title='Two videos',
    config='none.py',
    arms=[
        Arm(test='good', what='good one', start='st', labels=5),
        Arm(test='bad', what='bad one', start='copy', labels=5),
        Arm(test='late', what='late one'),
    ],
    claims=[
        Claim('good', 'bad', 'good > bad'),
        Claim('bad', 'good', 'bad > good'),
        Claim('late', 'bad', 'late > bad'),
    ],
    group=lambda path: Path(path).parent.name.removeprefix('none'),
    block=2,
    classes=('person',),
    sheet=('good',),
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The good arm finds all, the bad one half of a and nothing of b."""
    paths = [f'{v}/{i}.png' for v in ('a', 'b', 'none') for i in range(6)]
    truth = [
        dict(
            img_path=path,
            gt_instances=dict(bboxes=BOX, labels=np.zeros(1, int)),
            ignored_instances=dict(bboxes=BOX + 100, labels=np.zeros(1, int)),
        )
        for path in paths
    ]
    monkeypatch.setattr(real_report, 'read_truth', lambda _: truth)
    for seed in (0, 1):
        for arm in ('good', 'bad'):
            folder = tmp_path / f'seed_{seed}' / arm
            folder.mkdir(parents=True)
            found = [
                HIT if arm == 'good' else FOREIGN if path < 'a/3' else NOTHING
                for path in paths
            ]
            samples = [
                dict(img_path=path, pred_instances=one)
                for path, one in zip(paths, found, strict=True)
            ]
            (folder / 'predictions.pkl').write_bytes(pickle.dumps(samples))
    return tmp_path


def test_precision_of_known_detections(home):
    results = real_report.collect(TEST, home, [0, 1, 2])
    assert {arm: list(seeds) for arm, seeds in results.items()} == {
        'good': [0, 1],
        'bad': [0, 1],
    }
    assert results['good'][0].groups == ['a'] * 6 + ['b'] * 6
    good, bad = (results[arm][0].precision() for arm in ('good', 'bad'))
    assert good == dict(a=(pytest.approx(100),) * 2, b=good['a'])
    # Recall 0.5 is reached at 51 of COCO's 101 points.
    assert bad['a'] == (pytest.approx(100 * 51 / 101),) * 2
    assert bad['b'] == (0, 0)
    table = real_report.precision_table(TEST, results)
    assert '| good one | 100.0 ± 0.0 | 100.0 ± 0.0 |' in table
    assert '| late one | not run ' in table


def test_pooled_is_of_all_images(home):
    test = replace(TEST, pooled=True)
    found = real_report.collect(test, home, [0])['bad'][0].precision()
    assert found['all'] == (pytest.approx(100 * 26 / 101),) * 2
    assert real_report.summarise(found) == found['all']


def test_differences(home):
    results = real_report.collect(TEST, home, [0, 1])
    found = real_report.compare(results['good'], results['bad'], block=2)
    a, b = 100 - 100 * 51 / 101, 100
    assert found.value == pytest.approx((a + b) / 2)
    # Of videos: a and a, a and b, b and b.
    assert a <= found.groups[0] < found.value < found.groups[1] <= b
    assert 50 <= found.images[0] <= found.value <= found.images[1] <= 100
    table = real_report.claims_table(TEST, results)
    cells = [line.split('|')[-2].strip() for line in table.splitlines()]
    assert [*cells[:1], *cells[2:]] == ['holds', 'yes', 'NO', 'not run']
    assert 'groups drawn' in table
    pooled = real_report.claims_table(replace(TEST, pooled=True), results)
    assert 'groups drawn' not in pooled


def test_other_images_are_refused(home, monkeypatch):
    truth = real_report.read_truth('')[:-1]
    monkeypatch.setattr(real_report, 'read_truth', lambda _: truth)
    with pytest.raises(ValueError, match='tested on other images'):
        real_report.collect(TEST, home, [0])
