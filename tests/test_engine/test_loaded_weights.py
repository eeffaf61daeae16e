import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmxdistill.engine.loaded_weights import check_file, watch_loading


def network(classes=2):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, classes))


def start(state, whole, model=None, loaded=()):
    model = model or network()
    watch_loading(model, 'a.pth', whole, RuntimeError, loaded)
    load_state_dict(model, dict(state))
    return model


def test_weights_that_fit():
    state = network().state_dict()
    model = start({**state, 'surplus': torch.zeros(1)}, True)
    torch.testing.assert_close(dict(model.state_dict()), dict(state))
    # A detector begins with the student's backbone.
    start({k: v for k, v in state.items() if k.startswith('0.')}, False)


@pytest.mark.parametrize(
    ('state', 'whole', 'message'),
    [
        (dict(fc=torch.zeros(1)), False, "4 are missing .'0.weight', '0.b"),
        (
            {k: v for k, v in network().state_dict().items() if '0' in k},
            True,
            "a.pth.* of 4 weights, 2 are missing .'1.weight', '1.bias'",
        ),
        (network(5).state_dict(), True, "2 have another shape .'1.weight', "),
    ],
)
def test_weights_that_do_not(state, whole, message):
    with pytest.raises(RuntimeError, match=message):
        start(state, whole)


def test_weights_that_a_model_does_without():
    class Student(BaseModule):
        def __init__(self):
            super().__init__()
            self.teacher, self.student = network(), network()
            self.register_load_state_dict_post_hook(
                lambda _, keys: keys.missing_keys.clear()
            )

    state = {f'student.{k}': v for k, v in network().state_dict().items()}
    start(state, True, Student())


def test_weights_that_a_part_fits():
    """As a ViT resizes its position embedding, after the model's hooks."""

    class Backbone(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.pos_embed = nn.Parameter(torch.zeros(1, size))
            self._register_load_state_dict_pre_hook(self.fit)

        def fit(self, state, prefix, *args):
            name = prefix + 'pos_embed'
            state[name] = state[name].new_ones(self.pos_embed.shape)

    def detector(size):
        return nn.Sequential(Backbone(size), nn.Conv2d(3, 4, 1))

    model = start(detector(4).state_dict(), True, detector(6))
    assert model[0].pos_embed.sum() == 6


def test_statistics():
    """A group normalisation has weights of the same names."""
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    state = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4)).state_dict()
    start(state, False, model)
    with pytest.raises(RuntimeError, match="2 are missing .'1.running_mean'"):
        start(state, True, model)


def test_deeper_backbone():
    def detector(blocks, stages=2):
        model = nn.Module()
        model.backbone = nn.Module()
        for i in range(stages):
            layers = [nn.Linear(2, 2) for _ in range(blocks)]
            setattr(model.backbone, f'layer{i}', nn.Sequential(*layers))
        model.stages = nn.ModuleList(nn.Linear(2, 2) for _ in range(blocks))
        return model

    state = detector(3).state_dict()
    start(state, False, detector(2))  # to begin with
    with pytest.raises(RuntimeError, match=r"no .'backbone\.layer0\.2\.w"):
        start(state, True, detector(2))
    # Heads, and stages that nobody asks for.
    backbone = {k: v for k, v in state.items() if 'layer' in k}
    start(detector(2, 3).state_dict(), True, detector(2))
    heads = {k: v for k, v in state.items() if k not in backbone}
    start({**detector(2).state_dict(), **heads}, True, detector(2))


def test_parts_with_files_of_their_own():
    """Streams of a fusion, whose checkpoint may hold some of them."""
    model = nn.Module()
    model.streams = nn.ModuleDict(dict(a=network(), b=network()))
    part = {f'streams.b.{k}': v for k, v in network().state_dict().items()}
    start(part, True, model, ['streams.a'])
    with pytest.raises(RuntimeError, match="4 are missing .'streams.a.0.w"):
        start(part, True, model)
    model = nn.Module()
    model.streams = nn.ModuleDict(dict(a=network(5), b=network()))
    part = {f'streams.a.{k}': v for k, v in network().state_dict().items()}
    with pytest.raises(RuntimeError, match='2 have another shape'):
        start(part, True, model, ['streams.a', 'streams.b'])


def test_file_that_is_not_there(tmp_path):
    check_file(str(tmp_path))  # of a sharded checkpoint
    with pytest.raises(FileNotFoundError, match=r'load_from: .*none\.pth'):
        check_file(str(tmp_path / 'none.pth'))
    check_file('https://none/a.pth')
