import json

import pytest

from mmxdistill.studies.results import (
    explained_variance,
    outcome,
    provenance,
    read_metrics,
    read_precision,
)


def write(folder, time, metrics):
    path = folder / time / f'{time}.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(metrics))


def test_newest_test_counts(tmp_path):
    write(tmp_path, '20260102_000000', {'voc/mAP': 0.2})
    write(tmp_path, '20260101_000000', {'voc/mAP': 0.1})
    assert read_metrics(tmp_path) == {'voc/mAP': 0.2}
    assert outcome(tmp_path) == ': mAP 20.0 %'
    with pytest.raises(FileNotFoundError, match='nothing was tested there'):
        read_metrics(tmp_path / 'other')


def test_precision_and_explained_variance(tmp_path):
    metrics = {'voc/mAP': 0.25, 'voc/AP_box': 0.1, 'voc/AP_lamp': 0.4}
    assert read_precision({'time': 1.0, **metrics}) == {
        'box': 10.0,
        'lamp': 40.0,
        'mAP': 25.0,
    }
    metrics = {'transfer/loss': 0.3, 'transfer/explained_variance_fc7': 0.35}
    assert explained_variance(metrics) == 0.35
    write(tmp_path, '1', metrics)
    assert outcome(tmp_path) == ': explained variance 0.350'


def test_nothing_to_tell(tmp_path):
    assert outcome(tmp_path) == ''
    write(tmp_path, '1', {'coco/bbox_mAP': 0.5})
    assert outcome(tmp_path) == ''


def test_provenance_names_the_commit_and_the_machine():
    text = provenance()
    assert 'commit ' in text
    assert 'PyTorch ' in text
    assert ' cores of ' in text
