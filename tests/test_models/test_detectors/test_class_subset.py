import copy

import pytest
import torch
from nets import fast_rcnn, preprocessor
from stock import fused, image, randomize, samples

from mmxdistill.engine.labels import check_labels
from mmxdistill.models.networks import names_weights
from mmxdistill.registry import MODELS

NAMES = ('cup', 'box', 'sofa')


@pytest.fixture
def subset(tmp_path):
    """The trained detector, and the config of a subset of its classes."""
    cfg = fast_rcnn()
    rgb = randomize(MODELS.build(cfg))
    path = tmp_path / 'rgb.pth'
    meta = dict(dataset_meta=dict(classes=NAMES))
    torch.save(dict(state_dict=rgb.state_dict(), meta=meta), path)
    return rgb, dict(
        type='mmxdistill.ClassSubsetDetector',
        detector=cfg,
        checkpoint=str(path),
        classes=dict(couch='sofa', cup='cup'),
    )


def test_rows_of_the_classes_and_the_background(subset):
    rgb, cfg = subset
    model = MODELS.build(cfg)
    model.init_weights()  # as a runner does before it trains
    model.eval()
    batch = samples(1, proposals=True)
    few, all_ = (
        net._forward(image(), copy.deepcopy(batch))[-1][-2:]
        for net in (model, rgb)
    )
    torch.testing.assert_close(few[0], all_[0][:, [2, 0, 3]])
    boxes = all_[1].unflatten(1, (3, 4))[:, [2, 0]].flatten(1)
    torch.testing.assert_close(few[1], boxes)
    assert model.class_names == ('couch', 'cup')
    turned = MODELS.build(dict(cfg, classes=['sofa', 'cup', 'box'])).eval()
    scores = turned._forward(image(), copy.deepcopy(batch))[-1][-2]
    torch.testing.assert_close(scores, all_[0][:, [2, 0, 1, 3]])
    renamed = dict(cfg, classes=['b', 'a'], source_classes=['a', 'b', 'c'])
    assert MODELS.build(renamed).class_names == ('b', 'a')
    assert names_weights(cfg)
    assert not names_weights(dict(cfg, checkpoint=None))
    with pytest.raises(ValueError, match='normalises with .*trained with'):
        MODELS.build(dict(cfg, data_preprocessor=other_statistics()))


def other_statistics():
    cfg = preprocessor('rgb')
    cfg['modalities'] = dict(rgb=dict(mean=[9.0, 9.0, 9.0]))
    return cfg


def test_data_with_other_classes_are_refused(subset):
    """Also in another order, and by a fusion."""
    _, cfg = subset
    both = fused(dict(rgb=cfg, hha=copy.deepcopy(cfg)))
    for model in (MODELS.build(cfg), both):
        for classes in (('couch', 'cup'), ('cup', 'couch')):
            metainfo = dict(classes=classes)
            dataset = type('Data', (), dict(metainfo=metainfo))
            if classes == model.class_names:
                check_labels(model, dataset)
                continue
            with pytest.raises(
                ValueError, match="'couch', 'cup'.*'cup', 'couch'"
            ):
                check_labels(model, dataset)
