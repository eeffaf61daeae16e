import copy

import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from nets import backbone, fast_rcnn

from mmxdistill.models.detectors.feature_tap import FeatureTap
from mmxdistill.registry import MODELS

ROIS = bbox2roi([torch.tensor([[0.0, 0, 40, 40], [10, 20, 60, 63]])])


def test_stages_of_a_backbone():
    net = MODELS.build(backbone())
    x = torch.randn(1, 3, 64, 64)
    features = FeatureTap(net, ['conv3', 'pool5'], 'student')(x)
    conv3 = net.norm2(
        net.pool2(net.conv2(net.norm1(net.pool1(net.conv1(x).relu()))).relu())
    )
    torch.testing.assert_close(features['conv3'], net.conv3(conv3).relu())
    assert features['pool5'].shape[1] == 8


def test_dotted_paths():
    net = MODELS.build(
        dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        )
    )
    x = torch.randn(1, 3, 64, 64)
    tap = FeatureTap(net, ['backbone.layer2', 'layer3.1'], 'teacher')
    features = tap(x)
    assert all(r.output is None for r in tap._recorders.values())
    torch.testing.assert_close(features['layer3.1'], net(x)[0])
    assert features['backbone.layer2'].shape == (1, 8, 8, 8)


def test_stage_and_roi_features_of_a_detector():
    net = MODELS.build(fast_rcnn()).eval()
    x = torch.randn(1, 3, 64, 64)
    expected = net.roi_head._bbox_forward(net.extract_feat(x), ROIS)
    tap = FeatureTap(net, ['pool5', 'fc7'], 'teacher')
    assert tap.needs_rois
    features = tap(x, ROIS)
    torch.testing.assert_close(
        net.roi_head.bbox_head.fc_cls(features['fc7']),
        expected['cls_score'],
    )
    assert features['pool5'].shape == (1, 8, 2, 2)
    # The detector still works as before.
    torch.testing.assert_close(
        net.roi_head._bbox_forward(net.extract_feat(x), ROIS)['cls_score'],
        expected['cls_score'],
    )


def test_stage_alone_does_not_run_the_heads():
    net = MODELS.build(fast_rcnn())
    tap = FeatureTap(net, ['conv4'], 'teacher')
    net.roi_head.forward = None
    assert not tap.needs_rois
    assert tap(torch.randn(1, 3, 64, 64))['conv4'].shape[1] == 12


@pytest.mark.parametrize('name', ['conv9', 'layer3', ''])
def test_unknown_name(name):
    net = MODELS.build(backbone())
    with pytest.raises(ValueError, match="teacher.*CaffeNet.*'pool5'"):
        FeatureTap(net, [name], 'teacher')


def test_suggestion():
    net = MODELS.build(fast_rcnn())
    with pytest.raises(ValueError, match='did you mean.*pool5'):
        FeatureTap(net, ['poool5'], 'teacher')


def test_copy_records_its_own_features():
    """EMA and others copy the model."""
    net = MODELS.build(backbone())
    tap = FeatureTap(net, ['pool1', 'conv2'], 'student')
    twin = copy.deepcopy(tap)
    with torch.no_grad():
        twin.network.conv1.weight.zero_()
        twin.network.conv1.bias.zero_()
    x = torch.randn(1, 3, 64, 64)
    assert twin(x)['pool1'].abs().sum() == 0
    assert tap(x)['pool1'].abs().sum() > 0
