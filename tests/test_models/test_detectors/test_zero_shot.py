import copy

import pytest
import torch
from nets import backbone, fast_rcnn, preprocessor
from stock import assert_same, config, fused, image, randomize, samples

from mmxdistill.registry import MODELS


def save(path, model, **meta):
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return str(path)


def transfer_config(teacher, student, points, modality='hha'):
    """A transfer to a modality whose statistics are its own."""
    modalities = preprocessor('rgb', modality)
    modalities['modalities'] = {
        'rgb': 'teacher',
        modality: dict(mean=[1.0, 2.0, 3.0]),
    }
    if 'data_preprocessor' not in teacher:  # a backbone
        modalities['modalities']['rgb'] = dict(mean=[0.0] * 3)
    return dict(
        type='mmxdistill.SupervisionTransfer',
        teacher=teacher,
        student=student,
        teacher_checkpoint=None,
        modalities=dict(teacher='rgb', student=modality),
        transfer_points=points,
        data_preprocessor=modalities,
    )


def same(name):
    return dict(teacher=name, student=name)


# Detector, its part that is replaced, student, features.
CASES = {
    'fast_rcnn': (fast_rcnn(), 'backbone', backbone(), ['conv5']),
    'fpn': (
        config('faster_rcnn'),
        'backbone',
        config('faster_rcnn').backbone,
        [f'backbone.layer{i}' for i in (1, 2, 3, 4)],
    ),
    'yolox': (
        config('yolox'),
        'neck',
        dict(config('yolox'), data_preprocessor=None),
        [f'neck.out_convs.{i}' for i in range(3)],
    ),
}


@pytest.mark.parametrize('case', CASES)
def test_identity_transfer_is_the_rgb_detector(case, tmp_path):
    """The student is the teacher's copy, nothing is adapted."""
    cfg, at, student, names = CASES[case]
    if case == 'fast_rcnn':  # the RoIs are pooled from there
        cfg.backbone.out_features = ('conv5',)
    rgb = randomize(MODELS.build(cfg))
    setup = transfer_config(cfg, student, [same(name) for name in names])
    transfer = MODELS.build(setup)
    if case == 'yolox':
        transfer.student.load_state_dict(rgb.state_dict())
    else:
        transfer.backbone.load_state_dict(rgb.backbone.state_dict())
    model = MODELS.build(
        dict(
            type='mmxdistill.ZeroShotDetector',
            detector=cfg,
            transfer=setup,
            checkpoint=save(tmp_path / 'rgb.pth', rgb),
            transfer_checkpoint=save(tmp_path / 'transfer.pth', transfer),
            at=at,
        )
    ).eval()
    model.init_weights()  # as a runner does before it trains
    batch = samples(2, proposals=case == 'fast_rcnn')
    assert type(model) is type(rgb)
    assert_same(
        model.predict(image(), copy.deepcopy(batch)),
        rgb.predict(image(), batch),
    )
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
    # It is saved and loaded as any detector, and is one of a fusion.
    again = MODELS.build(
        dict(
            type='mmxdistill.ZeroShotDetector',
            detector=cfg,
            transfer=setup,
            checkpoint=None,
            transfer_checkpoint=None,
            at=at,
        )
    )
    again.load_state_dict(model.state_dict())


def adapted(**point):
    """A transfer at pool5 between nets of other widths, and its detector."""
    cfg = fast_rcnn()
    cfg.backbone.out_features = ('conv5',)
    student = dict(backbone(), channels=(8, 8, 12, 12, 6))
    point = dict(same('pool5'), adaptation=dict(), **point)
    setup = transfer_config(
        dict(cfg.backbone, out_features=('pool5',)), student, [point]
    )
    return cfg, setup


def assemble(cfg, setup, **kwargs):
    args = dict(checkpoint=None, transfer_checkpoint=None) | kwargs
    return MODELS.build(
        dict(
            type='mmxdistill.ZeroShotDetector',
            detector=cfg,
            transfer=setup,
            **args,
        )
    ).eval()


def trained(setup, factor):
    """State of a transfer with any adaptation and a scale."""
    student = MODELS.build(setup['student'])
    state = {f'backbone.{k}': v for k, v in student.state_dict().items()}
    prefix = 'transfer_points.0.'
    state[f'{prefix}adaptation.conv.weight'] = torch.randn(8, 6, 1, 1)
    state[f'{prefix}adaptation.conv.bias'] = torch.randn(8)
    state[f'{prefix}scale.factor'] = torch.tensor(factor)
    return state


def test_adaptation_and_inverse_scale_on_conv5(tmp_path):
    cfg, setup = adapted(scale='auto')
    state = trained(setup, 0.25)
    path = str(tmp_path / 'transfer.pth')
    torch.save(dict(state_dict=state), path)
    model = assemble(cfg, setup, transfer_checkpoint=path, features=['conv5'])
    (found,) = model.extract_feat(image())
    student = MODELS.build(dict(setup['student'], out_features=('conv5',)))
    student.load_state_dict(
        {
            k.removeprefix('backbone.'): v
            for k, v in state.items()
            if k.startswith('backbone.')
        }
    )
    (conv5,) = student(image())
    expected = torch.nn.functional.conv2d(
        conv5,
        state['transfer_points.0.adaptation.conv.weight'],
        state['transfer_points.0.adaptation.conv.bias'],
    )
    torch.testing.assert_close(found, expected.relu() * 4)
    for found, message in (
        (trained(setup, float('nan')), 'never calibrated'),
        (
            {k: v for k, v in state.items() if 'adaptation' not in k},
            'no .*adaptation.conv.weight',
        ),
    ):
        torch.save(dict(state_dict=found), path)
        with pytest.raises(ValueError, match=message):
            assemble(cfg, setup, transfer_checkpoint=path, features=['conv5'])


@pytest.mark.parametrize('name', ['faster_rcnn', 'cascade_mask_rcnn', 'yolox'])
def test_stream_of_a_fusion(name):
    """Zero-shot RGB + X: the assembled detector is a stream as any."""
    cfg = config(name)
    features = [f'backbone.layer{i}' for i in (1, 2, 3, 4)]
    if name == 'yolox':
        features = [f'backbone.stage{i}' for i in (2, 3, 4)]
    setup = transfer_config(
        cfg.backbone, cfg.backbone, [same(f) for f in features]
    )
    hha = dict(
        type='mmxdistill.ZeroShotDetector',
        detector=cfg,
        transfer=setup,
        checkpoint=None,
        transfer_checkpoint=None,
    )
    model = fused(dict(rgb=cfg, hha=hha))
    found = model.predict(torch.cat([image(), image()], 1), samples())
    assert len(found[0].pred_instances) > 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(features=['pool5']), r"'pool5' gives \(8, 4, 4\)"),
        (dict(features=['conv5', 'conv4']), 'one per transfer point'),
        (
            dict(points=[], features=[]),
            'has 1 outputs, but there are 0 transferred',
        ),
        (
            dict(data_preprocessor=preprocessor('hha')),
            'normalises with .*, but the layers were trained with mean=.1.0, ',
        ),
        (dict(at='head'), "at='head': choose from"),
        (dict(at='neck'), 'has no neck'),
        (dict(classes=['bed']), 'list them in source_classes'),
        (
            dict(classes=['bed'], source_classes=['cup', 'box', 'sofa']),
            r"does not know .'bed'.*knows .'cup', 'box', 'sofa'",
        ),
    ],
)
def test_parts_that_do_not_fit(change, message):
    cfg, setup = adapted()
    with pytest.raises(ValueError, match=message):
        assemble(cfg, setup, **{'features': ['conv5'], **change})


def test_no_transfer():
    cfg, _ = adapted()
    with pytest.raises(ValueError, match='FastRCNN is no supervision transf'):
        assemble(cfg, cfg)
