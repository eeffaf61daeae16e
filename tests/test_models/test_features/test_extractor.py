import copy
import random

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from nets import backbone, fast_rcnn
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmxdistill.models.features import FeatureExtractor
from mmxdistill.models.networks import build_network
from mmxdistill.registry import MODELS

ROIS = bbox2roi([torch.tensor([[0.0, 0, 40, 40], [10, 20, 60, 63]])])
RESNET = dict(
    type='ResNet',
    depth=18,
    base_channels=4,
    frozen_stages=-1,
    norm_eval=False,
)


def extract(network, *names, **kwargs):
    return FeatureExtractor(network, names, 'teacher', **kwargs)


class Chain(nn.Module):
    """Convolution, batch norm, ReLU in place, a second convolution."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.shared = nn.Conv2d(4, 4, 1)
        self.unused = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = self.relu(self.bn(self.conv(x)))
        return self.shared(x), dict(again=self.shared(2 * x))


class TestNames:
    def test_stages_of_a_backbone(self):
        net = MODELS.build(backbone())
        x = torch.randn(1, 3, 64, 64)
        features = extract(net, 'conv3', 'pool5')(x)
        x = net.norm1(net.pool1(net.conv1(x).relu()))
        x = net.norm2(net.pool2(net.conv2(x).relu()))
        torch.testing.assert_close(features['conv3'], net.conv3(x).relu())
        assert features['pool5'].shape == (1, 8, 2, 2)
        # What the network returns is as before.
        assert [f.shape[1:] for f in net(torch.zeros(1, 3, 64, 64))] == [
            (8, 5, 5)
        ]

    def test_dotted_paths(self):
        net = MODELS.build(
            {
                **RESNET,
                **dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1)),
                **dict(out_indices=(2,)),
            }
        )
        x = torch.randn(1, 3, 64, 64)
        features = extract(net, 'backbone.layer2', 'layer3.1', 'backbone')(x)
        torch.testing.assert_close(features['layer3.1'], net(x)[0])
        torch.testing.assert_close(features['backbone'], net(x)[0])
        assert features['backbone.layer2'].shape == (1, 8, 8, 8)

    def test_outputs_and_calls(self):
        net = Chain()
        x = torch.randn(1, 3, 8, 8)
        names = 'backbone[0]', 'backbone[1][again]', 'shared#1', 'shared#0'
        features = extract(net, *names)(x)
        first, second = net(x)
        for name, value in zip(
            names,
            (first, second['again'], second['again'], first),
            strict=True,
        ):
            torch.testing.assert_close(features[name], value)

    def test_stage_and_roi_features_of_a_detector(self):
        net = MODELS.build(fast_rcnn()).eval()
        x = torch.randn(1, 3, 64, 64)
        expected = net.roi_head._bbox_forward(net.extract_feat(x), ROIS)
        extractor = extract(net, 'pool5', 'fc7')
        assert extractor.needs_rois
        features = extractor(x, ROIS)
        torch.testing.assert_close(
            net.roi_head.bbox_head.fc_cls(features['fc7']),
            expected['cls_score'],
        )
        assert features['pool5'].shape == (1, 8, 2, 2)
        torch.testing.assert_close(
            net.roi_head._bbox_forward(net.extract_feat(x), ROIS)['cls_score'],
            expected['cls_score'],
        )

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('pool9', r"no feature 'pool9': did you mean .*pool5 \(1 x 8 x"),
            ('layer3', r'There are: conv1 \(1 x 8 x 16 x 24\), .*pool5'),
            ('', "no feature ''"),
            ('pool5[', r"no feature 'pool5\['"),
            ('pool5[0]', r"'pool5\[0\]' is not in the output.*\[0\] of a Ten"),
            ('pool5#1', 'is called 1 time'),
        ],
    )
    def test_unknown(self, name, message):
        with pytest.raises(ValueError, match=f'teacher.*{message}'):
            extract(MODELS.build(backbone()), name)

    @pytest.mark.parametrize(
        ('name', 'message'),
        [
            ('unused', r"'unused' is never computed.*There are: conv \("),
            ('shared', r"called 2 times.*'shared#0' or 'shared#1'"),
            ('backbone', r'a tuple of 2: write backbone\[0\] \(1 x 4'),
            ('backbone[7]', r"'backbone\[7\]' is not in the output"),
            ('backbone[1]', r'write backbone\[1\]\[again\] \('),
        ],
    )
    def test_ambiguous(self, name, message):
        with pytest.raises(ValueError, match=message):
            extract(Chain(), name)

    def test_channels_that_the_network_does_not_take(self):
        with pytest.raises(ValueError, match='with 4 channels does not pass'):
            extract(Chain(), 'conv', channels=4)


class TestShortestPart:
    @pytest.mark.parametrize(
        ('names', 'last'),
        [(['conv'], 'conv'), (['relu', 'conv'], 'relu')],
    )
    def test_nothing_behind_the_last_feature_runs(self, names, last):
        net = Chain()
        extractor = extract(net, *names)
        ran = []
        for name, module in net.named_children():
            module.register_forward_hook(
                lambda *_, name=name: ran.append(name)
            )
        extractor(torch.randn(1, 3, 8, 8))
        assert ran[-1] == last

    def test_stage_alone_does_not_run_the_heads(self):
        net = MODELS.build(fast_rcnn())
        extractor = extract(net, 'conv4')
        net.roi_head.forward = None
        assert extractor.entry == 'backbone'
        assert extractor(torch.randn(1, 3, 64, 64))['conv4'].shape[1] == 12

    def test_hooks_are_gone_afterwards(self):
        net = Chain()
        extract(net, 'conv', 'bn')(torch.randn(1, 3, 8, 8))
        assert not any(m._forward_hooks for m in net.modules())


class TestOverwritten:
    def test_copied_before_the_operation_in_place(self):
        net = Chain().eval()
        x = torch.randn(2, 3, 8, 8)
        extractor = extract(net, 'bn', 'shared#0')
        assert extractor.infos['bn'].copy
        assert not extractor.infos['shared#0'].copy
        features = extractor(x)
        torch.testing.assert_close(features['bn'], net.bn(net.conv(x)))
        assert (features['bn'] < 0).any()
        features['bn'].sum().backward()
        assert net.conv.weight.grad is not None

    def test_copied_if_all_of_the_network_runs(self):
        class Detector(nn.Module):
            def __init__(self):
                super().__init__()
                self.backbone = Chain()

            def extract_feat(self, x):
                return self.backbone(x)

        net = Detector().eval()
        extractor = FeatureExtractor(
            net, ['backbone.bn'], 'student', whole=True
        )
        x = torch.randn(2, 3, 8, 8)
        wanted = net.backbone.bn(net.backbone.conv(x))
        torch.testing.assert_close(extractor(x)['backbone.bn'], wanted)

    def test_not_copied_without_need(self):
        assert not extract(Chain(), 'bn').infos['bn'].copy

    def test_refused_if_it_happens_later_only(self):
        net = Chain()
        net.relu.inplace = False
        extractor = extract(net, 'bn', 'shared#0')
        net.relu.inplace = True
        with pytest.raises(RuntimeError, match="'bn' was overwritten"):
            extractor(torch.randn(1, 3, 8, 8))


class TestTraining:
    """What training mode changes is refused when the model is built."""

    def test_branches_that_are_stacked(self):
        class Branches(Chain):  # as TridentNet
            def forward(self, x):
                if self.training:
                    x = torch.cat([x, x])
                return super().forward(x)

        net = Branches()
        extractor = extract(net, 'conv')
        with pytest.raises(
            ValueError, match=r"'conv' cannot be learned.*\(4, 4, .*\(2, 4, "
        ):
            extractor.check_training()
        assert net.training
        assert net.bn.num_batches_tracked == 0

    def test_labels_that_are_needed(self):
        class Queries(nn.Module):  # as DINO's, with denoising
            def __init__(self):
                super().__init__()
                self.backbone = Chain()
                self.decoder = nn.Conv2d(4, 4, 1)

            def extract_feat(self, x):
                return self.backbone(x)[:1]

            def forward(self, x, samples, mode):
                (x,) = self.extract_feat(x)
                if self.training:
                    samples[0].gt_instances.labels.add_(1)
                return self.decoder(x)

        extract(Queries(), 'backbone.bn').check_training()
        with pytest.raises(ValueError, match=r'without labels \(Attr.*labels'):
            extract(Queries(), 'decoder').check_training()


class TestGradients:
    def test_parameters_that_cannot_learn(self):
        net = Chain()
        assert extract(net, 'bn').unreached() == [
            'shared.weight',
            'shared.bias',
            'unused.weight',
            'unused.bias',
        ]
        assert all(p.grad is None for p in net.parameters())

    def test_frozen_feature_is_refused(self):
        net = Chain()
        for module in (net.conv, net.bn):
            module.requires_grad_(False)
        with pytest.raises(ValueError, match=r"'bn' has no gradient.*frozen"):
            extract(net, 'bn').unreached()

    @pytest.mark.parametrize('reentrant', [True, False])
    def test_activation_checkpointing(self, reentrant):
        class Net(Chain):
            def forward(self, x):
                x = self.conv(x)
                x = checkpoint(self.bn, x, use_reentrant=reentrant)
                return self.shared(x)

        net = Net()
        if reentrant:  # the block runs without gradients
            with pytest.raises(ValueError, match='with_cp=True'):
                extract(net, 'bn').unreached()
        extractor = extract(net, 'bn' if not reentrant else 'shared')
        x = torch.randn(2, 3, 8, 8)
        next(iter(extractor(x).values())).square().sum().backward()
        expected = net.conv.weight.grad.clone()
        net.zero_grad()
        y = net.bn(net.conv(x))
        (y if not reentrant else net.shared(y)).square().sum().backward()
        torch.testing.assert_close(net.conv.weight.grad, expected)


def test_dry_run_leaves_no_trace():
    net = MODELS.build(RESNET)
    net.train()
    before = copy.deepcopy(net.state_dict())
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    expected = torch.rand(3), random.random(), np.random.rand()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    extract(net, 'layer2').unreached()
    torch.testing.assert_close(torch.rand(3), expected[0])
    assert (random.random(), np.random.rand()) == expected[1:]
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(module.training for module in net.modules())


def test_copy_records_its_own_features():
    """EMA and others copy the model."""
    net = MODELS.build(backbone())
    extractor = extract(net, 'pool1', 'conv2')
    twin = copy.deepcopy(extractor)
    with torch.no_grad():
        twin.network.conv1.weight.zero_()
        twin.network.conv1.bias.zero_()
    x = torch.randn(1, 3, 64, 64)
    assert twin(x)['pool1'].abs().sum() == 0
    assert extractor(x)['pool1'].abs().sum() > 0


SWIN = dict(
    type='SwinTransformer',
    embed_dims=8,
    depths=(1, 1, 1, 1),
    num_heads=(1, 1, 2, 2),
    window_size=4,
)
PVT = dict(
    type='PyramidVisionTransformer',
    embed_dims=8,
    num_layers=(1, 1, 1, 1),
    num_heads=(1, 1, 1, 1),
)
HRNET = dict(
    type='HRNet',
    extra={
        f'stage{i}': dict(
            num_modules=1,
            num_branches=i,
            block='BOTTLENECK' if i == 1 else 'BASIC',
            num_blocks=(1,) * i,
            num_channels=tuple(4 * 2**j for j in range(i)),
        )
        for i in range(1, 5)
    },
)


@pytest.mark.parametrize(
    ('config', 'name', 'kind', 'shape'),
    [
        (SWIN, 'backbone[2]', 'map', (32, 4, 6)),
        # Behind the merging of patches, and before.
        (SWIN, 'stages.1[0]', 'tokens', (32, 4, 6)),
        (SWIN, 'stages.1[2]', 'tokens', (16, 8, 12)),
        (SWIN, 'stages.0.blocks.0', 'tokens', (8, 16, 24)),
        (PVT, 'backbone[1]', 'map', (8, 8, 12)),
        (PVT, 'layers.2.1.0', 'tokens', (8, 4, 6)),
        (HRNET, 'backbone[3]', 'map', (32, 2, 3)),
        (HRNET, 'stage2.0[1]', 'map', (8, 8, 12)),
        (dict(type='SSDVGG', depth=11), 'features.16', 'map', (512, 4, 6)),
    ],
)
def test_backbones_of_mmdet(config, name, kind, shape):
    net = MODELS.build(config)
    extractor = extract(net, name)
    info = extractor.infos[name]
    assert info.layout.kind == kind
    size = next(iter(info.grids))
    assert (info.channels, *info.grids[size]) == shape
    x = torch.randn(2, 3, *size)
    assert extractor(x)[name].shape == (2, *shape)


def small(name, **changes):
    """A detector of mmdet with a narrow backbone."""
    from mmxdistill.models.networks import resolve_network

    resolved = resolve_network(name)
    resolved.model.backbone.update(
        **dict(depth=18, base_channels=4, init_cfg=None)
    )
    resolved.model.neck.in_channels = changes.pop('neck')
    return build_network(resolved)


def test_tower_of_a_dense_head():
    net = small(
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco', neck=[4, 8, 16, 32]
    )
    extractor = extract(
        net, 'bbox_head.cls_convs.0#2', 'neck[2]', 'bbox_head[0][2]'
    )
    assert extractor.entry == 'bbox_head'
    x = torch.randn(1, 3, 64, 96)
    features = extractor(x)
    tower = net.bbox_head.cls_convs[0](features['neck[2]'])
    torch.testing.assert_close(features['bbox_head.cls_convs.0#2'], tower)
    torch.testing.assert_close(
        features['bbox_head[0][2]'], net.bbox_head(net.extract_feat(x))[0][2]
    )
    extractor = extract(net, 'bbox_head.reg_convs.3#0')
    assert 'bbox_head.retina_reg.weight' in extractor.unreached()


@pytest.mark.parametrize(
    ('config', 'neck', 'kind'),
    [
        ('mmdet::detr/detr_r50_8xb2-150e_coco', [32], 'tokens'),
        (
            'mmdet::dino/dino-4scale_r50_8xb2-12e_coco',
            [8, 16, 32],
            'token list',
        ),
    ],
)
def test_encoder_of_a_transformer(config, neck, kind):
    net = small(config, neck=neck)
    del net.encoder.layers[1:]
    extractor = extract(net, 'encoder')
    assert extractor.infos['encoder'].layout.kind == kind
    assert extractor.infos['encoder'].channels == 256
    # In training, the decoder would ask for labels.
    net.train()
    x = torch.randn(1, 3, 64, 96)
    sample = extractor._dry_run._sample((64, 96), 0, labelled=False)
    assert extractor(x, None, [sample])['encoder'].requires_grad
