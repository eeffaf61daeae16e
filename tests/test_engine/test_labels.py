"""Classes of model and data are compared when a run is built."""

from types import SimpleNamespace

import pytest
from mmdet.models.detectors import RPN
from torch import nn

from mmxdistill.engine.labels import check_labels


def head(number, **attributes):
    module = nn.Identity()
    module.num_classes = number
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


def model(**parts):
    root = nn.Module()
    for path, part in parts.items():
        *parents, name = path.split('__')
        node = root
        for parent in parents:
            if not hasattr(node, parent):
                setattr(node, parent, nn.Module())
            node = getattr(node, parent)
        setattr(node, name, part)
    return root


def data(*classes, **metainfo):
    return SimpleNamespace(metainfo=dict(classes=classes, **metainfo))


@pytest.mark.parametrize(
    ('parts', 'name'),
    [
        (dict(bbox_head=head(3)), 'model.bbox_head'),
        (dict(roi_head__bbox_head=head(3)), 'model.roi_head.bbox_head'),
        (
            dict(roi_head__bbox_head=nn.ModuleList([head(2), head(3)])),
            'model.roi_head.bbox_head.1',
        ),
        (
            dict(roi_head__bbox_head=head(2), roi_head__mask_head=head(3)),
            'model.roi_head.mask_head',
        ),
        (dict(streams__rgb__bbox_head=head(3)), 'model.streams.rgb.bbox_head'),
        (dict(module__bbox_head=head(3)), 'model.module.bbox_head'),  # TTA
    ],
)
def test_other_numbers_are_refused(parts, name):
    with pytest.raises(ValueError) as error:
        check_labels(model(**parts), data('a', 'b'))
    text = str(error.value)
    assert text.startswith(f'num_classes=3 of {name}, but')
    assert 'set num_classes=2' in text and "['a', 'b']" in text


@pytest.mark.parametrize(
    ('parts', 'dataset'),
    [
        (dict(bbox_head=head(2), rpn_head=head(1)), data('a', 'b')),
        (dict(bbox_head=head(2)), data()),
        (dict(bbox_head=head(2)), SimpleNamespace()),
        # Of panoptic data, of words, of a student, of all classes alike.
        (dict(bbox_head=head(1)), data('a', 'b', thing_classes=['a'])),
        (dict(bbox_head=head(9), language_model=nn.Module()), data('a')),
        (dict(backbone__student__bbox_head=head(9)), data('a')),
        (dict(roi_head__mask_head=head(9, class_agnostic=True)), data('a')),
    ],
)
def test_what_fits(parts, dataset):
    check_labels(model(**parts), dataset)


def test_proposal_networks_know_one_class():
    proposer = RPN.__new__(RPN)
    nn.Module.__init__(proposer)
    proposer.bbox_head = head(1)
    check_labels(proposer, data('a', 'b'))
    check_labels(model(streams__rgb=proposer), data('a', 'b'))


def test_other_names_are_refused():
    part = model(bbox_head=head(2))
    part.class_names = ('b', 'a')
    with pytest.raises(ValueError, match=r"\['b', 'a'\], in this order"):
        check_labels(part, data('a', 'b'))
    # Those of the data set that the config of a stream inherits.
    part.class_names = ('a', 'b', 'c')
    check_labels(part, data('a', 'b'))
