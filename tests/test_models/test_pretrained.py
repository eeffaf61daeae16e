import pytest
import torch
from torch import nn

from mmxdistill.models.pretrained import adapt_input
from mmxdistill.registry import MODELS

RGB = dict(
    type='ResNet', depth=18, base_channels=4, out_indices=(3,), init_cfg=None
)


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
