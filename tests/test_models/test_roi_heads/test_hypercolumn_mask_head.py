import math
import re

import pytest
import torch
from golden import assert_close
from mmengine.optim import build_optim_wrapper

from mmxdistill.models.roi_heads.region_boxes import (
    normalize_boxes,
    snap_boxes,
)
from mmxdistill.registry import MODELS

NAME = 'net_sds_alexnet_hha'


def build(**kwargs):
    head = MODELS.build(
        dict(
            type='mmxdistill.HypercolumnMaskHead',
            **{
                'num_classes': 3,
                'maps': {
                    'pool2': dict(in_channels=4, kernel_size=3, scale=0.5),
                    'conv4': dict(in_channels=6, kernel_size=1, scale=0.1),
                },
                'fc7_channels': 8,
                'mask_size': 10,
                'grid_size': 2,
                **kwargs,
            },
        )
    )
    head.init_weights()
    return head


def sample(count=5, num_images=2):
    torch.manual_seed(0)
    features = {
        'pool2': torch.randn(num_images, 4, 12, 16),
        'conv4': torch.randn(num_images, 6, 6, 8),
        'fc7': torch.randn(count, 8),
    }
    corners = torch.rand(count, 2, 2).sort(dim=1).values.flatten(1)
    image = torch.arange(count)[:, None] % num_images
    return features, torch.cat((image, corners), 1), torch.arange(count) % 3


class GoldenNet:
    """The stream and its heads, as configs build them, with Caffe's weights.

    Widths, feature maps and their scales come from the weights and the
    prototxt; the stream's prefix from the layer names.
    """

    def __init__(self, meta, arrays, prototxt):
        (prefix,) = {
            match[1]
            for name in arrays['param']
            if (match := re.fullmatch(r'(.*)conv1/0', name))
        }
        self.layers = {
            name.split('/')[0].removeprefix(prefix): [
                torch.tensor(arrays['param'][f'{name[:-1]}{i}'])
                for i in range(2)
            ]
            for name in arrays['param']
            if name.endswith('/0')
        }
        self.diffs = {
            name.removeprefix(prefix): array
            for name, array in arrays['param_diff'].items()
        }
        self.blobs = {
            name.removeprefix(prefix): array
            for name, array in arrays['blob'].items()
        }
        layer = rf'name: "{prefix}scale_(\w+)".*scale_param {{ scale: (\S+) }}'
        scales = dict(re.findall(layer, prototxt))
        assert scales
        self.maps = tuple(scales)
        weights = {name: blobs[0] for name, blobs in self.layers.items()}
        self.backbone = MODELS.build(
            dict(
                type='mmxdistill.CaffeNet',
                geometry='rgb',
                channels=[len(weights[f'conv{i}']) for i in range(1, 6)],
                out_features=(*self.maps, 'conv5'),
            )
        )
        pooled, width = self.blobs['pool5'], len(weights['fc6'])
        self.pool = MODELS.build(
            dict(
                type='mmxdistill.CaffeRoIPool',
                output_size=pooled.shape[2:],
                spatial_scale=1,
            )
        )
        self.bbox_head = MODELS.build(
            dict(
                type='mmxdistill.FastRCNNBBoxHead',
                in_channels=pooled.shape[1],
                roi_feat_size=pooled.shape[2],
                fc_channels=width,
                num_classes=meta['num_categories'],
                bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            )
        )
        per_class = len(weights['fcfc7']) // meta['num_categories']
        self.mask_head = MODELS.build(
            dict(
                type='mmxdistill.HypercolumnMaskHead',
                num_classes=meta['num_categories'],
                maps={
                    name: dict(
                        in_channels=weights[f'conv_{name}'].shape[1],
                        kernel_size=weights[f'conv_{name}'].shape[2],
                        scale=float(scale),
                    )
                    for name, scale in scales.items()
                },
                fc7_channels=width,
                mask_size=self.blobs['loss'].shape[-1],
                grid_size=math.isqrt(per_class),
            )
        )
        loaded = set()
        for network in (self.backbone, self.bbox_head, self.mask_head):
            network.eval()  # Caffe's dropout is off in the golden nets
            for name, module in network.named_modules():
                if name in self.layers:
                    weight, bias = self.layers[name]
                    module.load_state_dict(dict(weight=weight, bias=bias))
                    loaded.add(name)
        assert loaded == set(self.layers)

    def features(self, image, cells):
        outputs = self.backbone(image)
        names = self.backbone.out_features
        features = dict(zip(names, outputs, strict=True))
        features['pool5'] = self.pool(features['conv5'], cells)
        kept = []
        self.bbox_head.drop7.register_forward_hook(
            lambda *args: kept.append(args[-1])
        )
        self.bbox_head(features['pool5'])
        (features['fc7'],) = kept
        return features


@pytest.mark.golden
def test_golden_net(caffe_golden, data_root):
    meta, arrays = caffe_golden(NAME)
    prototxt = data_root / 'caffe_golden' / f'{NAME}.prototxt'
    net = GoldenNet(meta, arrays, prototxt.read_text())
    inputs = {k: torch.tensor(v) for k, v in arrays['input'].items()}
    normalized = inputs['normalizedboxes'].flatten(1)
    cells = inputs['sppboxes'].flatten(1)
    labels = inputs['categids'].flatten().long()
    assert torch.equal(normalized[:, 1].long(), labels)

    # The boxes that the released data layer makes.
    corners = inputs['boxes'].float()
    size = meta['original_image_size']
    boxes = torch.cat((normalized[:, :1], normalize_boxes(corners, size)), 1)
    torch.testing.assert_close(
        boxes[:, 1:], normalized[:, 2:], rtol=0, atol=1e-6
    )
    snapped = snap_boxes(corners, size, inputs['image'].shape[2:])
    assert torch.equal(snapped, cells[:, 1:])

    features = net.features(inputs['image'], cells)
    for name in features.keys() & net.blobs.keys():
        assert_close(features[name], net.blobs[name], name)
    columns = net.mask_head.hypercolumns(features, boxes, labels)
    assert_close(columns[:1], net.blobs['sum_first_box'], 'sum')
    masks = net.mask_head(features, boxes, labels)
    assert_close(masks[:, None], net.blobs['loss'], 'masks')

    losses = net.mask_head.loss(
        features,
        boxes,
        labels,
        inputs['labels'][:, 0],
        inputs['instance_wts'].flatten(),
    )
    losses['loss_mask'].backward()
    assert_close(losses['loss_mask'], arrays['']['train_loss'], 'loss')
    assert net.diffs
    for key, expected in net.diffs.items():
        layer, index = key.split('/')
        parameter = ('weight', 'bias')[int(index)]
        found = getattr(getattr(net.mask_head, layer), parameter)
        assert_close(found.grad, expected, key)


def test_released_filler_and_default_shapes():
    head = MODELS.build(
        dict(type='mmxdistill.HypercolumnMaskHead', num_classes=19)
    )
    head.init_weights()
    shapes = {k: tuple(v.shape) for k, v in head.state_dict().items()}
    assert shapes == {
        'conv_pool2.weight': (475, 256, 3, 3),
        'conv_pool2.bias': (475,),
        'conv_conv4.weight': (475, 384, 1, 1),
        'conv_conv4.bias': (475,),
        'fcfc7.weight': (475, 4096),
        'fcfc7.bias': (475,),
    }
    for name in ('conv_pool2', 'conv_conv4', 'fcfc7'):
        layer = getattr(head, name)
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.02)
        assert (layer.bias == 0).all()


def test_documented_multipliers():
    wrapper = build_optim_wrapper(
        build(),
        dict(
            optimizer=dict(type='SGD', lr=0.001, weight_decay=0.001),
            paramwise_cfg=dict(
                bias_lr_mult=2,
                bias_decay_mult=0,
                custom_keys={
                    'fcfc7.weight': dict(lr_mult=0.1, decay_mult=0.1),
                    'fcfc7.bias': dict(lr_mult=0.2, decay_mult=0),
                },
            ),
        ),
    )
    found = {
        tuple(group['params'][0].shape): (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
    }
    assert found[12, 8] == pytest.approx((1e-4, 1e-4))  # fcfc7
    assert found[12, 4, 3, 3] == pytest.approx((1e-3, 1e-3))  # conv_pool2
    biases = [
        (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        if group['params'][0].dim() == 1
    ]
    assert sorted(biases) == [(2e-4, 0), (2e-3, 0), (2e-3, 0)]


def test_boxes_do_not_influence_each_other():
    head = build()
    features, boxes, labels = sample()
    masks = head(features, boxes, labels)
    assert masks.shape == (5, 10, 10)
    assert (masks > 0).all() and (masks < 1).all()
    for i in (0, 3):
        one = dict(features, fc7=features['fc7'][i : i + 1])
        torch.testing.assert_close(
            head(one, boxes[i : i + 1], labels[i : i + 1])[0], masks[i]
        )
    # Other images and classes differ.
    assert not torch.equal(head(features, boxes, (labels + 1) % 3), masks)
    boxes[:, 0] = 1 - boxes[:, 0]
    assert not torch.equal(head(features, boxes, labels), masks)


def test_loss_trains_the_head_towards_the_targets():
    head = build()
    features, boxes, labels = sample()
    targets = torch.zeros(5, 10, 10)
    targets[:, 5:] = 1
    optimizer = torch.optim.SGD(head.parameters(), lr=0.02)
    losses = []
    for _ in range(30):
        loss = head.loss(features, boxes, labels, targets, torch.ones(5))
        optimizer.zero_grad()
        loss['loss_mask'].backward()
        optimizer.step()
        losses.append(loss['loss_mask'].item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(p.grad.any() for p in head.parameters())


def test_fc7_alone():
    head = build(maps={})
    features, boxes, labels = sample()
    masks = head(dict(fc7=features['fc7']), boxes, labels)
    expected = head.fcfc7(features['fc7']).view(5, 3, 4)[range(5), labels]
    torch.testing.assert_close(masks[:, 0, 0], expected[:, 0].sigmoid())


def test_waits_for_the_device_once(monkeypatch):
    """A truth value of a tensor on a GPU waits for all that is queued."""
    head, waits = build(), []
    features, boxes, labels = sample()
    truth = torch.Tensor.__bool__

    def counting(tensor):
        waits.append(tensor.shape)
        return truth(tensor)

    monkeypatch.setattr(torch.Tensor, '__bool__', counting)
    head(features, boxes, labels)
    assert len(waits) == 1


def test_no_boxes():
    head = build()
    features, boxes, labels = sample(count=0)
    assert head(features, boxes, labels).shape == (0, 10, 10)
    empty = torch.zeros(0, 10, 10), torch.zeros(0)
    head.loss(features, boxes, labels, *empty)['loss_mask'].backward()
    assert all((p.grad == 0).all() for p in head.parameters())


def test_bad_input():
    with pytest.raises(ValueError, match=r"maps\['pool2'\].*in_channels"):
        build(maps=dict(pool2=dict(in_channels=4)))
    head = build()
    features, boxes, labels = sample()
    with pytest.raises(KeyError, match=r"\['conv4'\].*\['fc7', 'pool2'\]"):
        head({k: features[k] for k in ('pool2', 'fc7')}, boxes, labels)
    with pytest.raises(ValueError, match="'fc7' has 5 rows for 4 boxes"):
        head(features, boxes[:4], labels[:4])
