import pytest
import torch
from nets import fast_rcnn, region_detector
from stock import config, image, randomize
from torch import nn
from torch.testing import assert_close

from mmxdistill.models.label_sets import (
    class_indices,
    config_classes,
    select_rows,
    with_classes,
)
from mmxdistill.registry import MODELS


def test_classes_of_a_config():
    coco = dict(type='CocoDataset')
    named = dict(coco, metainfo=dict(classes=['a', 'b']))
    assert config_classes(dict(val_dataloader=dict(dataset=named))) == (
        'a',
        'b',
    )
    nested = dict(type='ConcatDataset', datasets=[named, coco])
    repeated = dict(type='RepeatDataset', dataset=nested)
    assert config_classes(dict(train_dataloader=dict(dataset=repeated))) == (
        'a',
        'b',
    )
    names = config_classes(dict(test_dataloader=dict(dataset=coco)))
    assert len(names) == 80 and names[0] == 'person'
    assert config_classes(dict(model=dict(type='YOLOX'))) is None


def test_indices():
    source = ['couch', 'bed', 'tv']
    assert class_indices(['tv', 'bed'], source) == [2, 1]
    assert class_indices(dict(sofa='couch'), source) == [0]
    for wanted in (['sofa'], []):
        with pytest.raises(ValueError, match='knows .*couch'):
            class_indices(wanted, source)


@pytest.mark.parametrize(
    'name', ['fast_rcnn', 'cascade_mask_rcnn', 'yolox', 'retinanet', 'yolov3']
)
@pytest.mark.parametrize('chosen', [[2, 0], [2, 0, 1], [1, 1, 0]])
def test_selected_rows(name, chosen):
    cfg = fast_rcnn() if name == 'fast_rcnn' else config(name)
    full = randomize(MODELS.build(cfg))
    part, wider = (
        MODELS.build(with_classes(cfg, n)).eval() for n in (len(chosen), 4)
    )
    select_rows(full, part, wider, chosen, 3)
    with torch.no_grad():
        x = full.extract_feat(image(1))
        if name in ('fast_rcnn', 'cascade_mask_rcnn'):
            stage = () if name == 'fast_rcnn' else (1,)
            rois = torch.tensor([[0, 3.0, 3, 40, 50], [0, 5, 9, 30, 20]])
            f, p = (
                m.roi_head._bbox_forward(*stage, x, rois) for m in (full, part)
            )
            assert_close(p['cls_score'], f['cls_score'][:, [*chosen, 3]])
            boxes = f['bbox_pred']
            if not full.roi_head.with_mask:  # the cascade is class-agnostic
                boxes = boxes.view(2, 3, 4)[:, chosen].flatten(1)
            assert_close(p['bbox_pred'], boxes)
            if full.roi_head.with_mask:
                f, p = (
                    m.roi_head._mask_forward(0, x, rois)['mask_preds']
                    for m in (full, part)
                )
                assert_close(p, f[:, chosen])
        else:
            f, p = full.bbox_head(x), part.bbox_head(x)
            if name == 'yolov3':
                block, rows = 8, [0, 1, 2, 3, 4, *(5 + c for c in chosen)]
            else:
                block, rows = 3, chosen
            n, _, h, w = f[0][0].shape
            expected = f[0][0].view(n, -1, block, h, w)[:, :, rows]
            assert_close(p[0][0], expected.flatten(1, 2))
            assert_close(p[1:], f[1:])


def test_classifiers_of_a_class_stay_together():
    """25 (here 4) channels of hyper-columns per class, class by class."""
    cfg = region_detector()
    full = randomize(MODELS.build(cfg))
    part, wider = (MODELS.build(with_classes(cfg, n)) for n in (2, 4))
    select_rows(full, part, wider, [2, 0], 3)
    for name in ('fcfc7', 'conv_pool2', 'conv_conv4'):
        f, p = (getattr(m.roi_head.mask_head, name) for m in (full, part))
        for got, weight in zip(p.parameters(), f.parameters(), strict=True):
            assert got.equal(torch.cat([weight[8:], weight[:4]])), name


def test_layers_of_no_known_layout():
    source, target, wider = (nn.Linear(2, n) for n in (10, 9, 11))
    with pytest.raises(ValueError, match="'weight' has .* no layout of mmdet"):
        select_rows(source, target, wider, [0, 1], 3)


def test_heads_without_classes():
    with pytest.raises(ValueError, match='no bbox_head with num_classes'):
        with_classes(config('yolox', bbox_head=None), 2)
