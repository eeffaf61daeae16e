import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmxdistill.engine.loaded_weights import check_file, watch_loading


def network(classes=2):
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(4, classes))


def start(state, whole, model=None):
    model = model or network()
    watch_loading(model, 'a.pth', whole, RuntimeError)
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


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'load_from: .*none\.pth'):
        check_file(str(tmp_path / 'none.pth'))
    check_file('https://none/a.pth')
