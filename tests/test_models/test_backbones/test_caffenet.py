import pytest
import torch
from mmengine.config import Config

from mmxdistill import config_path
from mmxdistill.registry import MODELS


def test_parameters_and_default_widths() -> None:
    net = MODELS.build(dict(type='mmxdistill.CaffeNet'))
    shapes = {key: tuple(p.shape) for key, p in net.state_dict().items()}
    assert shapes == {
        'conv1.weight': (96, 3, 11, 11),
        'conv1.bias': (96,),
        'conv2.weight': (256, 48, 5, 5),
        'conv2.bias': (256,),
        'conv3.weight': (384, 256, 3, 3),
        'conv3.bias': (384,),
        'conv4.weight': (384, 192, 3, 3),
        'conv4.bias': (384,),
        'conv5.weight': (256, 192, 3, 3),
        'conv5.bias': (256,),
    }
    assert net.out_features == ('conv5',)


def test_default_init_is_the_released_hha_filler() -> None:
    torch.manual_seed(0)
    net = MODELS.build(dict(type='mmxdistill.CaffeNet', geometry='hha'))
    net.init_weights()
    for i, bias in enumerate((0, 1, 0, 1, 1), start=1):
        conv = getattr(net, f'conv{i}')
        assert (conv.bias == bias).all()
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert abs(conv.weight.mean()) < 2e-4


@pytest.mark.parametrize(
    ('geometry', 'conv5', 'pool5'),
    [('rgb', (44, 58), (22, 29)), ('hha', (43, 57), (21, 28))],
)
def test_geometry(
    geometry: str, conv5: tuple[int, int], pool5: tuple[int, int]
) -> None:
    """Sizes of a 688 x 907 image: a 425 x 560 NYUD2 image, enlarged."""
    net = MODELS.build(
        dict(
            type='mmxdistill.CaffeNet',
            channels=[2] * 5,
            geometry=geometry,
            in_channels=1,
            out_features=('conv5', 'pool5'),
        )
    )
    outs = net(torch.zeros(1, 1, 688, 907))
    assert [tuple(out.shape[2:]) for out in outs] == [conv5, pool5]


def test_released_fillers_of_a_whole_detector() -> None:
    """The weights that no file brings, as the detector's config has them."""
    torch.manual_seed(0)
    cfg = Config.fromfile(config_path('_base_/models/fast_rcnn_caffenet.py'))
    cfg.model.pop('data_preprocessor', None)
    cfg.model.backbone.geometry = 'hha'
    cfg.model.roi_head.bbox_head.fc_channels = 512
    model = MODELS.build(cfg.model)
    model.init_weights()
    head = model.roi_head.bbox_head
    fillers = {
        model.backbone.conv1: (0.01, 0),
        model.backbone.conv2: (0.01, 1),
        model.backbone.conv3: (0.01, 0),
        model.backbone.conv4: (0.01, 1),
        model.backbone.conv5: (0.01, 1),
        head.fc6: (0.005, 1),
        head.fc7: (0.005, 1),
        head.fc_cls: (0.01, 0),
        head.fc_reg: (0.001, 0),
    }
    for layer, (std, bias) in fillers.items():
        assert (layer.bias == bias).all(), layer
        values = layer.weight.detach().flatten()
        assert values.std().item() == pytest.approx(std, rel=0.03), layer
        assert abs(values.mean()) < 0.05 * std, layer
        # A gaussian: 68.3 % within one deviation (uniform: 57.7 %).
        inside = (values.abs() < std).float().mean().item()
        assert inside == pytest.approx(0.683, abs=0.02), layer
    learned = [p for layer in fillers for p in layer.parameters()]
    assert len(learned) == len(list(model.parameters()))
    assert all(parameter.requires_grad for parameter in learned)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(geometry='depth'), "'rgb', 'hha'"),
        (dict(box_geometry='depth'), "box_geometry='depth', .*'rgb', 'hha'"),
        (dict(channels=(8, 16, 12, 12)), 'five even'),
        (dict(channels=(8, 15, 12, 12, 8)), 'five even'),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='mmxdistill.CaffeNet', **kwargs))
