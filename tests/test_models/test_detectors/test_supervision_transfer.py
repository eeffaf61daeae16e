import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from nets import backbone, fast_rcnn, preprocessor

from mmxdistill.models.networks import load_weights
from mmxdistill.registry import MODELS


def config(teacher=None, student=None, **kwargs):
    return {
        **dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=preprocessor('rgb', 'hha'),
            teacher=teacher or backbone('rgb', out_features=('pool5',)),
            teacher_checkpoint=None,
            student=student or backbone('hha', out_features=('pool5',)),
            modalities=dict(teacher='rgb', student='hha'),
            transfer_points=[point('pool5', 'pool5', 8, 8)],
        ),
        **kwargs,
    }


def point(teacher, student, in_channels, out_channels, **kwargs):
    return {
        **dict(
            teacher=teacher,
            student=student,
            adaptation=dict(
                type='mmxdistill.AdaptationNeck',
                in_channels=in_channels,
                out_channels=out_channels,
            ),
            loss=dict(
                type='mmxdistill.FeatureL2Loss', normalization='element'
            ),
        ),
        **kwargs,
    }


def build(*args, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(config(*args, **kwargs))
    model.init_weights()
    return model


def samples(n=2, proposals=12):
    boxes = torch.tensor([[0.0, 0, 30, 30]]).repeat(proposals, 1)
    boxes += torch.arange(proposals)[:, None]
    result = []
    for i in range(n):
        sample = DetDataSample(metainfo=dict(img_path=f'{i}.jpg'))
        sample.proposals = InstanceData(bboxes=boxes)
        result.append(sample)
    return result


def test_networks_see_their_own_modality():
    model = build()
    x = torch.randn(2, 6, 64, 96)
    ((student, teacher),) = model.features(x, None)
    expected = model.teacher(x[:, :3])[0]
    torch.testing.assert_close(teacher, expected)
    expected = model.transfer_points[0].adaptation(model.backbone(x[:, 3:])[0])
    torch.testing.assert_close(student, expected)


def test_everything_is_initialised_as_configured():
    model = build(
        student=dict(
            type='mmxdistill.CaffeNet', channels=(64, 64, 64, 64, 64)
        ),
        transfer_points=[point('pool5', 'pool5', 64, 8)],
    )
    adaptation = model.transfer_points[0].adaptation
    assert 0.005 < adaptation.conv.weight.std() < 0.02
    assert (adaptation.conv.bias == 0).all()
    assert 0.005 < model.backbone.conv3.weight.std() < 0.02


def test_only_the_student_learns():
    model = build()
    teacher = copy.deepcopy(model.teacher.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    before = model.backbone.conv1.weight.clone()
    model.train()
    losses = model.loss(torch.randn(2, 6, 64, 64), samples())
    assert list(losses) == ['loss_pool5']
    losses['loss_pool5'].backward()
    optimizer.step()
    assert all(p.grad is not None for p in model.parameters())
    assert not torch.equal(before, model.backbone.conv1.weight)
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, teacher[key]), key


def test_teacher_is_outside_the_module_tree():
    model = build(
        teacher=dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            norm_eval=False,
            out_indices=(3,),
        ),
        transfer_points=[point('layer4', 'pool5', 8, 32)],
    )
    assert not any(m is model.teacher for m in model.modules())
    assert not any('teacher' in key for key in model.state_dict())
    ours = {id(p) for p in model.parameters()}
    assert not ours & {id(p) for p in model.teacher.parameters()}
    assert not any(p.requires_grad for p in model.teacher.parameters())
    buffers = copy.deepcopy(dict(model.teacher.named_buffers()))
    model.train()
    model.loss(torch.randn(2, 6, 64, 64), samples())
    assert not any(m.training for m in model.teacher.modules())
    for key, value in model.teacher.named_buffers():
        assert torch.equal(value, buffers[key]), key


def test_teacher_follows_the_device_and_type():
    model = build()
    model.double()
    assert next(model.teacher.parameters()).dtype == torch.float64
    model.to('meta')
    assert next(model.teacher.parameters()).is_meta


def test_checkpoint_loads_into_a_detector(tmp_path):
    model = build()
    state = model.state_dict()
    detector = MODELS.build(fast_rcnn('hha', 'hha'))
    missing, unexpected = detector.load_state_dict(state, strict=False)
    assert all(key.startswith('roi_head.') for key in missing)
    assert all(key.startswith('transfer_points.') for key in unexpected)
    torch.testing.assert_close(
        detector.backbone.conv4.weight, model.backbone.conv4.weight
    )
    torch.save(dict(state_dict=state), tmp_path / 'transfer.pth')
    torch.load(tmp_path / 'transfer.pth', weights_only=True)


def test_detector_as_student_keeps_its_keys():
    model = build(student=fast_rcnn('hha', 'hha'))
    state = model.state_dict()
    detector = MODELS.build(fast_rcnn('hha', 'hha'))
    missing, unexpected = detector.load_state_dict(state, strict=False)
    assert not missing
    assert all(key.startswith('transfer_points.') for key in unexpected)
    twin = build(student=fast_rcnn('hha', 'hha'))
    twin.load_state_dict(state)
    for key, value in twin.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_teacher_weights(tmp_path, prefix):
    source = MODELS.build(backbone())
    state = {prefix + k: v for k, v in source.state_dict().items()}
    state['roi_head.bbox_head.fc6.weight'] = torch.zeros(1)
    path = str(tmp_path / 'teacher.pth')
    torch.save(dict(state_dict=state), path)
    model = build(teacher_checkpoint=path)
    torch.testing.assert_close(model.teacher.conv2.weight, source.conv2.weight)


def test_teacher_weights_that_do_not_fit(tmp_path):
    state = MODELS.build(backbone()).state_dict()
    state['conv2.weight'] = torch.zeros(3, 3)
    del state['conv4.bias']
    path = str(tmp_path / 'teacher.pth')
    torch.save(state, path)
    with pytest.raises(ValueError, match=r'conv4\.bias') as error:
        build(teacher_checkpoint=path)
    assert 'conv2.weight: (3, 3) in the file' in str(error.value)
    with pytest.raises(FileNotFoundError, match=r"'gone\.pth' of the teacher"):
        load_weights(MODELS.build(backbone()), 'gone.pth', 'teacher')


def test_several_points_of_any_kind():
    points = [
        point('conv3', 'conv3', 12, 12),
        point('pool5', 'pool5', 8, 8),
        point('fc6', 'fc6', 16, 16),
        point('roi_head.bbox_head.fc7', 'fc7', 16, 16),
    ]
    model = build(
        teacher=fast_rcnn(),
        student=fast_rcnn('hha'),
        transfer_points=points,
        num_rois=5,
    )
    model.train()
    x = torch.randn(2, 6, 64, 64)
    losses = model.loss(x, samples())
    assert list(losses) == [
        'loss_conv3',
        'loss_pool5',
        'loss_fc6',
        'loss_fc7_roi_head-bbox_head-fc7',
    ]
    assert model.features(x, samples())[2][0].shape == (10, 16)
    with pytest.raises(ValueError, match=r'0\.jpg.*no proposals'):
        model.loss(x, samples(proposals=0))


def test_grids_that_do_not_align():
    points = [point('pool5', 'pool5', 8, 8)]
    model = build(
        teacher=dict(type='mmxdistill.VGG16', channels=(4, 4, 4, 4, 8)),
        transfer_points=points,
    )
    model.eval()
    assert model.features(torch.randn(1, 6, 224, 64), None)
    with pytest.raises(ValueError, match="'pool5'") as error:
        model.features(torch.randn(1, 6, 688, 64), None)
    message = str(error.value)
    assert '(21, 2)' in message and '(22, 2)' in message
    # 640, 672, 704, 736 by section 2.6 of the Caffe facts; 656, 688 do not.
    assert '[640, 672, 704, 736]' in message
    points[0]['align'] = 'crop'
    model = build(
        teacher=dict(type='mmxdistill.VGG16', channels=(4, 4, 4, 4, 8)),
        transfer_points=points,
    )
    ((s, t),) = model.features(torch.randn(1, 6, 688, 64), None)
    assert s.shape == t.shape == (1, 8, 21, 2)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(transfer_points=[point('pool5', 'pool6', 8, 8)]),
            "student.*'pool6'",
        ),
        (dict(transfer_points=[point('x', 'pool5', 8, 8)]), "teacher.*'x'"),
        (
            dict(modalities=dict(teacher='rgb', student='flow')),
            "student reads 'flow'.*hha",
        ),
        (dict(modalities=dict(teacher='rgb')), 'modalities must be'),
        (dict(data_preprocessor=None), 'MultiModalDataPreprocessor'),
        (dict(transfer_points=[point('pool5', 'pool5', 8, 8)] * 2), 'twice'),
    ],
)
def test_bad_config(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


@pytest.mark.parametrize(
    ('channels', 'message'),
    [((8, 9), r'out_channels=8'), ((7, 8), r'in_channels=8')],
)
def test_channels_that_do_not_fit(channels, message):
    with pytest.raises(ValueError, match=message):
        build(transfer_points=[point('pool5', 'pool5', *channels)])


def test_prediction_gives_the_sums_of_the_explained_variance():
    model = build().eval()
    x = torch.randn(1, 6, 64, 96)
    ((s, t),) = model.features(x, None)
    stats = model.predict(x, samples(1))[0].transfer_stats['pool5']
    assert stats['cells'] == 2 * 3
    error = (s.double() - t.double()).square().sum().item()
    assert stats['error'] == pytest.approx(error)
    torch.testing.assert_close(stats['total'], t.double().sum((0, 2, 3)))
