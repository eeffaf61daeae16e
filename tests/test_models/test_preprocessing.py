import pytest

from mmxdistill.models.data_preprocessors import MultiModalDataPreprocessor
from mmxdistill.models.networks import resolve_network
from mmxdistill.models.preprocessing import (
    Preprocessing,
    check_statistics,
    fill_statistics,
)

COCO = dict(
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
)
READS = dict(teacher=['rgb'], student=['hha'])


def network(**preprocessor):
    return resolve_network(
        dict(type='FastRCNN', data_preprocessor=preprocessor or None)
    )


def check(modalities, networks, reads=None):
    cfg = fill_statistics(dict(modalities=modalities), networks)
    check_statistics(
        MultiModalDataPreprocessor(**cfg), networks, reads or READS
    )
    return cfg['modalities']


def test_statistics_come_from_the_network():
    given = dict(rgb='teacher', hha=dict(mean=[1.0] * 3))
    filled = check(given, dict(teacher=network(**COCO), student=network()))
    assert filled == dict(rgb=COCO, hha=dict(mean=[1.0] * 3))
    assert given['rgb'] == 'teacher'


@pytest.mark.parametrize(
    'change', [dict(mean=[1.0, 2, 3]), dict(std=[1.0] * 3), dict(bgr_to_rgb=0)]
)
def test_statistics_that_disagree(change):
    networks = dict(teacher=network(**COCO), student=network())
    given = dict(rgb={**COCO, **change}, hha=dict(mean=[1.0] * 3))
    with pytest.raises(ValueError, match="'rgb' is normalised") as error:
        check(given, networks)
    message = str(error.value)
    assert str(Preprocessing.from_config(COCO)) in message
    assert str(Preprocessing.from_config(given['rgb'])) in message
    assert "rgb='teacher'" in message


def test_rounding_is_no_disagreement():
    rounded = {**COCO, 'mean': [0.485 * 255, 0.456 * 255, 103.53]}
    check(
        dict(rgb=rounded, hha=dict(mean=[1.0] * 3)),
        dict(teacher=network(**COCO), student=network()),
    )


def test_student_is_checked_too():
    networks = dict(teacher=network(), student=network(mean=[9.0], std=[2.0]))
    given = dict(rgb=COCO, hha=dict(mean=[1.0]))
    with pytest.raises(ValueError, match="'hha'.*'student', which reads it"):
        check(given, networks)
    check({**given, 'hha': 'student'}, networks)


def test_networks_of_several_modalities():
    parts = dict(rgb=COCO, t=dict(mean=[7.0], std=[2.0]))
    networks = dict(student=network(modalities=parts))
    reads = dict(student=['rgb', 't'])
    check(parts, networks, reads)
    with pytest.raises(ValueError, match="'t' is normalised"):
        check({**parts, 't': dict(mean=[7.0])}, networks, reads)
    with pytest.raises(ValueError, match='made for 1'):
        check(parts, dict(student=network(**COCO)), reads)


@pytest.mark.parametrize(
    ('source', 'message'),
    [('stream', 'the networks are'), ('student', 'no data_preprocessor')],
)
def test_nothing_to_take(source, message):
    with pytest.raises(ValueError, match=f"'{source}'.*{message}"):
        fill_statistics(
            dict(modalities=dict(rgb=source)), dict(student=network())
        )


@pytest.mark.parametrize(
    ('cfg', 'expected'),
    [
        (dict(to_rgb=True, mean=[1, 2, 3], num_classes=5), ((1, 2, 3), True)),
        (dict(data_preprocessor=dict(mean=[4.0])), ((4,), False)),
        (dict(type='DetDataPreprocessor'), ((0, 0, 0), False)),
    ],
)
def test_spellings(cfg, expected):
    found = Preprocessing.from_config(cfg)
    assert (found.mean, found.bgr_to_rgb) == expected


def test_no_statistics():
    assert Preprocessing.from_config(None) is None
    assert (
        Preprocessing.from_config(dict(modalities=dict(rgb='teacher'))) is None
    )
    with pytest.raises(ValueError, match='one value per channel'):
        Preprocessing.from_config(dict(mean=[1, 2], std=[1]))
