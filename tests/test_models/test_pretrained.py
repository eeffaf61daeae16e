import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from torch import nn

from mmxdistill.models.networks import build_network
from mmxdistill.models.pretrained import adapt_input, check_initializers
from mmxdistill.registry import MODELS

RGB = dict(
    type='ResNet', depth=18, base_channels=4, out_indices=(3,), init_cfg=None
)

# They load files in a way of their own, without looking at the type.
OWN_INIT = {
    'swin': dict(
        type='SwinTransformer',
        embed_dims=8,
        depths=(1, 1, 1, 1),
        num_heads=(1, 1, 1, 1),
    ),
    'pvt': dict(
        type='PyramidVisionTransformer',
        embed_dims=8,
        num_layers=(1, 1, 1, 1),
    ),
}


class Detector(BaseModel):
    def __init__(self, backbone, init_cfg=None):
        super().__init__(init_cfg=init_cfg)
        self.backbone = MODELS.build(dict(backbone, _scope_='mmdet'))

    def forward(self, x):
        return self.backbone(x)


@pytest.mark.parametrize('channels', [1, 2, 4])
def test_sum_keeps_the_answer_to_gray_images(channels):
    conv = nn.Conv2d(3, 4, 3)
    other = nn.Conv2d(channels, 4, 3)
    other.bias = conv.bias
    other.weight = nn.Parameter(adapt_input(conv.weight, channels, 'sum'))
    gray = torch.rand(1, 1, 8, 8)
    torch.testing.assert_close(
        other(gray.expand(-1, channels, -1, -1)),
        conv(gray.expand(-1, 3, -1, -1)),
    )


def test_mean_and_extend():
    weight = torch.randn(4, 3, 2, 2)
    mean = adapt_input(weight, 2, 'mean')
    torch.testing.assert_close(mean[:, 1], weight.mean(1))
    wide = adapt_input(weight, 4, 'extend')
    assert torch.equal(wide[:, :3], weight)
    torch.testing.assert_close(wide[:, 3], weight.mean(1))


class TestInit:
    @pytest.fixture
    def file(self, tmp_path):
        net = MODELS.build(RGB)
        net.init_weights()
        path = str(tmp_path / 'rgb.pth')
        state = {f'backbone.{k}': v for k, v in net.state_dict().items()}
        torch.save(dict(state_dict=state), path)
        return path, net

    def build(self, path, **kwargs):
        net = MODELS.build(
            {
                **RGB,
                **kwargs,
                'init_cfg': dict(
                    type='mmxdistill.Pretrained',
                    checkpoint=path,
                    prefix='backbone.',
                ),
            }
        )
        net.init_weights()
        return net

    @pytest.mark.parametrize('channels', [1, 3, 4])
    def test_everything_is_loaded(self, file, channels):
        path, rgb = file
        state = self.build(path, in_channels=channels).state_dict()
        expected = rgb.state_dict()
        if channels != 3:
            expected['conv1.weight'] = adapt_input(
                expected['conv1.weight'], channels, 'sum'
            )
        for key, value in expected.items():
            torch.testing.assert_close(state[key], value)

    def test_other_differences_are_refused(self, file):
        path, _ = file
        with pytest.raises(
            ValueError, match=r'conv1\.weight: \(4, 3.*input chan'
        ):
            self.build(path, base_channels=8)
        with pytest.raises(ValueError, match=r'layer1\.0\.conv3.* is missing'):
            self.build(path, depth=50, stem_channels=4)

    def test_unknown_mode(self):
        net = MODELS.build(
            {
                **RGB,
                'init_cfg': dict(
                    type='mmxdistill.Pretrained',
                    checkpoint='x',
                    input_channels='max',
                ),
            }
        )
        with pytest.raises(ValueError, match="not 'max'"):
            net.init_weights()


class TestOwnInit:
    """Backbones that would ignore the initializer, or write over it."""

    def init_cfg(self, tmp_path, state=None, **kwargs):
        path = str(tmp_path / 'weights.pth')
        torch.save(state or {}, path)
        return dict(type='mmxdistill.Pretrained', checkpoint=path, **kwargs)

    @pytest.mark.parametrize('name', list(OWN_INIT))
    def test_refused(self, name, tmp_path):
        cfg = ConfigDict(
            OWN_INIT[name],
            init_cfg=self.init_cfg(tmp_path),
            _scope_='mmdet',
        )
        hint = r"init_weights does not go by.*submodule='backbone'\)"
        with pytest.raises(ValueError, match=hint):
            build_network(cfg)
        with pytest.raises(ValueError, match=hint):
            check_initializers(Detector(cfg))

    def test_refused_when_it_would_write_over_the_weights(self, tmp_path):
        class Again(Detector):
            def init_weights(self):
                super().init_weights()
                nn.init.zeros_(self.backbone.conv1.weight)

        model = Again(RGB, self.init_cfg(tmp_path))
        with pytest.raises(ValueError, match=r'Again\.init_weights does not'):
            model.init_weights()

    @pytest.mark.parametrize('channels', [1, 3])
    @pytest.mark.parametrize('name', list(OWN_INIT))
    def test_from_one_level_up(self, name, channels, tmp_path):
        state = Detector(OWN_INIT[name]).state_dict()
        init_cfg = self.init_cfg(tmp_path, state, submodule='backbone')
        cfg = dict(OWN_INIT[name], in_channels=channels)
        model = Detector(cfg, init_cfg)
        check_initializers(model)
        model.init_weights()
        for key, value in model.state_dict().items():
            expected = state[key]
            if value.shape != expected.shape:
                expected = adapt_input(expected, channels, 'sum')
            torch.testing.assert_close(value, expected)

    def test_no_such_part(self, tmp_path):
        model = Detector(RGB, self.init_cfg(tmp_path, submodule='neck'))
        with pytest.raises(ValueError, match=r"'neck'.*\['data_pre.*backbone"):
            model.init_weights()

    def test_no_such_keys(self, tmp_path):
        init_cfg = self.init_cfg(
            tmp_path, {'net.a': torch.ones(1)}, prefix='backbone'
        )
        with pytest.raises(ValueError, match=r"prefix='backbone\.'.*net\.a"):
            Detector(RGB, init_cfg).init_weights()
