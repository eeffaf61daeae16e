"""Region detection as a whole, against Caffe's network and by itself."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from golden import TOLERANCE, assert_close
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from nets import fast_rcnn, region_detector
from nets import region_sample as sample

from mmxdistill.caffe import (
    CaffeLayer,
    CaffeModel,
    collect_blobs,
    read_caffemodel,
    write_caffemodel,
)
from mmxdistill.models.caffe_weights import (
    caffemodel_to_checkpoint,
    checkpoint_to_caffemodel,
)
from mmxdistill.models.roi_heads.mask_pasting import paste_masks
from mmxdistill.registry import MODELS

NAME = 'net_sds_alexnet_hha'


def build(**rcnn):
    torch.manual_seed(0)
    model = MODELS.build(region_detector(**rcnn))
    model.init_weights()
    return model


@pytest.fixture
def golden(caffe_golden, data_root, tmp_path):
    """The golden net as a detector, its weights through a .caffemodel."""
    meta, arrays = caffe_golden(NAME)
    folder = data_root / 'caffe_golden'
    prototxt = (folder / f'{NAME}.prototxt').read_text()
    names = sorted({name.split('/')[0] for name in arrays['param']})
    blobs = {
        name: tuple(arrays['param'][f'{name}/{i}'] for i in range(2))
        for name in names
    }
    source = tmp_path / 'sds.caffemodel'
    layers = [
        CaffeLayer(
            name,
            'Convolution' if blobs[name][0].ndim == 4 else 'InnerProduct',
            blobs=blobs[name],
        )
        for name in names
    ]
    write_caffemodel(source, CaffeModel('sds', tuple(layers)))
    checkpoint = str(tmp_path / 'sds.pth')
    report = caffemodel_to_checkpoint(
        [str(source)], checkpoint, prototxt=str(folder / f'{NAME}.prototxt')
    )
    assert report.nets == {'da_': "CaffeNet(geometry='rgb')"}
    assert report.remarks == []
    back = tmp_path / 'back.caffemodel'
    checkpoint_to_caffemodel([checkpoint], str(back))
    found = collect_blobs(read_caffemodel(back).layers)
    assert found.keys() == blobs.keys()
    for name, pair in blobs.items():
        for one, other in zip(found[name], pair, strict=True):
            assert one.tobytes() == other.tobytes(), name

    weights = {n.removeprefix('da_'): b[0].shape for n, b in blobs.items()}
    layer = r'name: "da_scale_(\w+)".*scale_param { scale: (\S+) }'
    cfg = region_detector()
    cfg.backbone.update(channels=[weights[f'conv{i}'][0] for i in range(1, 6)])
    width = weights['fc6'][0]
    cfg.roi_head.bbox_roi_extractor.update(
        roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=6)
    )
    cfg.roi_head.bbox_head.update(
        roi_feat_size=6, fc_channels=width, num_classes=meta['num_categories']
    )
    cfg.roi_head.mask_head.update(
        num_classes=meta['num_categories'],
        fc7_channels=width,
        mask_size=arrays['blob']['da_loss'].shape[-1],
        grid_size=math.isqrt(weights['fcfc7'][0] // meta['num_categories']),
        maps={
            name: dict(
                in_channels=weights[f'conv_{name}'][1],
                kernel_size=weights[f'conv_{name}'][2],
                scale=float(scale),
            )
            for name, scale in re.findall(layer, prototxt)
        },
    )
    model = MODELS.build(cfg).eval()  # without dropout, as the golden net
    loaded = load_checkpoint(model, checkpoint, strict=False)
    assert set(loaded['state_dict']) == {
        key for key in model.state_dict() if '.fc_' not in key
    }
    return meta, arrays, model


@pytest.mark.golden
def test_golden_masks_loss_and_gradients_of_the_whole_head(golden):
    meta, arrays, model = golden
    inputs = {k: torch.tensor(v) for k, v in arrays['input'].items()}
    size = meta['original_image_size']
    metas = [dict(ori_shape=size, img_shape=inputs['image'].shape[2:])]
    detections = InstanceData(
        bboxes=inputs['boxes'].float(),
        labels=inputs['categids'].flatten().long(),
    )
    x = model.extract_feat(inputs['image'])
    (masks,) = model.roi_head.mask_probabilities(x, metas, [detections])
    assert_close(masks[:, None], arrays['blob']['da_loss'], 'masks')

    features, places = model.roi_head._mask_inputs(
        x, [detections.bboxes], metas
    )
    loss = model.roi_head.mask_head.loss(
        features,
        places,
        detections.labels,
        inputs['labels'][:, 0],
        inputs['instance_wts'].flatten(),
    )['loss_mask']
    loss.backward()
    assert loss.item() == pytest.approx(
        float(arrays['']['train_loss']), rel=TOLERANCE
    )
    trained = {n for n, p in model.named_parameters() if p.grad is not None}
    for key, expected in arrays['param_diff'].items():
        layer, index = key.removeprefix('da_').split('/')
        name = f'roi_head.mask_head.{layer}.{("weight", "bias")[int(index)]}'
        assert_close(model.get_parameter(name).grad, expected, key)
        trained.discard(name)
    assert not trained


def test_only_the_mask_head_is_trained():
    model = build()
    before = copy.deepcopy(model.state_dict())
    # Decay moves every weight that the optimizer has a gradient of.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    losses = model.loss(torch.randn(1, 3, 96, 128), [sample()])
    assert set(losses) == {'loss_mask'}
    losses['loss_mask'].backward()
    optimizer.step()
    for key, value in model.state_dict().items():
        trained = key.startswith('roi_head.mask_head.')
        assert torch.equal(value, before[key]) != trained, key
    assert model.roi_head.bbox_head.drop7.training  # as in the release


def test_boxes_of_one_class_are_drawn_with_replacement():
    head = build().roi_head
    proposals = sample().proposals.bboxes
    seen = set()
    for label, first in ((0, 6), (2, 34)):
        for _ in range(5):
            boxes, labels, masks = head._draw(
                proposals, sample(region_class=label)
            )
            assert boxes.shape == (5, 4) and (labels == label).all()
            assert masks[:, :, first - 1].sum() == 0 < masks[:, :, first].sum()
            assert set(boxes[:, 0].tolist()) <= {first, first + 1}
            seen.add(tuple(boxes[:, 0].tolist()))
    assert len(seen) > 2
    # Nothing near: the class is not in the image.
    boxes, labels, _ = head._draw(proposals, sample(region_class=1))
    assert boxes.shape == (0, 4) and labels.shape == (0,)
    drawn = {int(head._draw(proposals, sample())[1][0]) for _ in range(20)}
    assert drawn == {0, 2}


def test_images_without_boxes_of_the_class_have_no_loss():
    model = build()
    empty = sample(region_class=1)
    bare = sample()
    bare.gt_instances = bare.gt_instances[torch.zeros(0, dtype=torch.long)]
    losses = model.loss(torch.randn(2, 3, 96, 128), [empty, bare])
    losses['loss_mask'].backward()
    assert losses['loss_mask'] == 0


@pytest.mark.parametrize('superpixels', [False, True])
def test_regions_of_the_original_image(superpixels):
    model = build(mask_thr_binary=0.5).eval()
    numbers = 1 + np.arange(48)[:, None] // 6 * 11 + np.arange(64) // 6
    meta = dict(superpixels=numbers) if superpixels else {}
    batch = [sample(**meta)]
    with torch.no_grad():
        (found,) = model.predict(torch.randn(1, 3, 96, 128), batch)
    found = found.pred_instances
    assert found.masks.shape == (len(found), 48, 64)
    assert found.masks.dtype == torch.bool
    assert 0 < found.masks.float().mean() < 1
    if superpixels:  # none is cut
        sizes = np.bincount(numbers.ravel())
        for mask in found.masks.numpy():
            parts = np.bincount(numbers[mask], minlength=len(sizes))
            assert ((parts == 0) | (parts == sizes)).all()
    else:
        inside = paste_masks(
            torch.ones(len(found), 1, 1), found.bboxes, (48, 64)
        )
        assert not (found.masks & (inside == 0)).any()


@pytest.mark.parametrize('maps', [('pool2', 'conv4'), ()])
def test_boxes_of_the_detection_network(maps):
    """Boxes in its padding, their regions in that of the SDS network."""

    def model(box_geometry):
        torch.manual_seed(0)
        cfg = region_detector()
        cfg.backbone.update(
            box_geometry=box_geometry, out_features=('conv5', *maps)
        )
        mask_head = cfg.roi_head.mask_head
        mask_head.maps = {name: mask_head.maps[name] for name in maps}
        built = MODELS.build(cfg)
        built.init_weights()
        return built.eval()

    net, regions = model('hha'), model('rgb')
    cfg = fast_rcnn(geometry='hha')
    cfg.test_cfg = region_detector().test_cfg
    detector = MODELS.build(cfg).eval()
    state = regions.state_dict()
    detector.load_state_dict({k: state[k] for k in detector.state_dict()})
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        (found,) = net.predict(image, [sample()])
        (boxes,) = detector.predict(image, [sample()])
        (others,) = regions.predict(image, [sample()])
    found, metas = found.pred_instances, [found.metainfo]
    for key in ('bboxes', 'scores', 'labels'):
        assert found[key].equal(boxes.pred_instances[key]), key
    assert not found.bboxes.equal(others.pred_instances.bboxes)
    with torch.no_grad():
        got, expected = (
            one.roi_head.predict_mask(one.extract_feat(image), metas, [found])
            for one in (net, regions)
        )
    assert got[0].masks.equal(expected[0].masks)
    # No detection, no second pass.
    assert len(net.train().extract_feat(image)) == 1 + len(maps)
    net.roi_head.mask_head.map_names += ('conv4', 'conv4')
    with pytest.raises(ValueError, match=r"out_features=\('conv5', \*maps\)"):
        net.loss(image, [sample()])


def test_padding_of_the_batch_changes_nothing():
    model = build().eval()
    image = torch.randn(1, 3, 96, 128)
    padded = torch.nn.functional.pad(image, (0, 64, 0, 32))
    meta = dict(ori_shape=(48, 64), img_shape=(96, 128))
    found = InstanceData(
        bboxes=torch.tensor([[10, 10, 40, 36.0]]), labels=torch.tensor([1])
    )
    head = model.roi_head
    with torch.no_grad():
        expected = head._mask_inputs(
            model.extract_feat(image), [found.bboxes], [meta]
        )[1]
        fractions = head._mask_inputs(
            model.extract_feat(padded),
            [found.bboxes],
            [dict(meta, batch_input_shape=(128, 192))],
        )[1]
    share = torch.tensor([1, 128 / 192, 96 / 128, 128 / 192, 96 / 128])
    torch.testing.assert_close(fractions, expected * share)


def test_bad_input():
    model = build()
    for change in (dict(flip=True), dict(ori_shape=(96, 128))):
        wrong = sample()
        wrong.set_metainfo(change)
        with pytest.raises(ValueError, match=r'LoadAnnotations.*do not flip'):
            model.loss(torch.randn(1, 3, 96, 128), [wrong])
    with pytest.raises(ValueError, match='rescale=True'):
        model.predict(torch.randn(1, 3, 96, 128), [sample()], rescale=False)
    cfg = region_detector()
    cfg.train_cfg = fast_rcnn().train_cfg
    with pytest.raises(ValueError, match=r'_delete_.*'):
        MODELS.build(cfg)
