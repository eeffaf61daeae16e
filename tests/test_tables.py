import csv

import pytest

from mmxdistill.tables import format_seeds, format_table, write_seeds

RESULTS = {
    3: {'RGB': {'box': 10.0, 'mAP': 20.0}, 'HHA, late': {'box': 1, 'mAP': 2}},
    5: {'RGB': {'box': 30.0, 'mAP': 24.0}, 'HHA, late': {'box': 1, 'mAP': 4}},
}


def test_table_is_aligned_markdown():
    assert format_table(['a', 'bcd'], [['long', 'e'], ['f', 'g']]) == (
        '| a    | bcd |\n|------|-----|\n| long | e   |\n| f    | g   |'
    )


def test_one_seed_has_no_spread():
    lines = format_seeds('AP', {3: RESULTS[3]}).splitlines()
    assert lines[0].split() == '| AP | box | mAP |'.split()
    assert lines[2].split() == '| RGB | 10.0 | 20.0 |'.split()


def test_mean_and_standard_deviation_of_seeds():
    lines = format_seeds('AP', RESULTS).splitlines()
    assert lines[2].split() == '| RGB | 20.0 ± 14.1 | 22.0 ± 2.8 |'.split()


@pytest.mark.parametrize('seeds', [[3], [3, 5]])
def test_csv(tmp_path, seeds):
    path = tmp_path / 'results.csv'
    write_seeds(path, 'detector', {seed: RESULTS[seed] for seed in seeds})
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    of_rgb = {r['seed']: r for r in rows if r['detector'] == 'RGB'}
    assert of_rgb['3']['box'] == '10.0'
    if len(seeds) == 1:
        assert set(of_rgb) == {'3'}
    else:
        assert set(of_rgb) == {'3', '5', 'mean', 'std'}
        assert float(of_rgb['mean']['box']) == 20
        assert float(of_rgb['std']['box']) == pytest.approx(200**0.5)
    assert {r['detector'] for r in rows} == {'RGB', 'HHA, late'}
