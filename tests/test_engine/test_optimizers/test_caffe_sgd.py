import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from solver import TOLERANCE, Solver, relative_error
from torch import nn

from mmxdistill import config_path
from mmxdistill.engine.optimizers import CaffeSGD
from mmxdistill.registry import MODELS, OPTIMIZERS

LR, MOMENTUM, DECAY = 0.1, 0.9, 0.01


def parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return [
        nn.Parameter(torch.randn(shape, generator=generator).to(dtype))
        for shape in ((4, 3, 2), (4,), (1,))
    ]


def set_gradients(params, seed):
    generator = torch.Generator().manual_seed(seed)
    for param in params:
        gradient = torch.randn(param.shape, generator=generator)
        param.grad = gradient.to(param.dtype)


def caffe_sgd(params, **kwargs):
    return CaffeSGD(params, LR, MOMENTUM, DECAY, **kwargs)


def test_learning_rate_is_inside_the_momentum_buffer():
    params = parameters()
    weights = [p.detach().clone() for p in params]
    velocities = [torch.zeros_like(w) for w in weights]
    optimizer = caffe_sgd(params)
    for step, lr in enumerate((0.1, 0.1, 0.01, 0.01, 0.3, 0.0)):
        optimizer.param_groups[0]['lr'] = lr
        set_gradients(params, step)
        optimizer.step()
        for i, param in enumerate(params):
            gradient = param.grad + DECAY * weights[i]
            velocities[i] = MOMENTUM * velocities[i] + lr * gradient
            weights[i] = weights[i] - velocities[i]
            torch.testing.assert_close(param.detach(), weights[i])
            history = optimizer.state[param]['history']
            torch.testing.assert_close(history, velocities[i])


def test_differs_from_torch_only_after_a_change_of_the_rate():
    ours, theirs = parameters(), parameters()
    optimizers = [
        caffe_sgd(ours),
        torch.optim.SGD(theirs, LR, MOMENTUM, weight_decay=DECAY),
    ]
    for step in range(6):
        for optimizer, params in zip(optimizers, (ours, theirs), strict=True):
            if step == 4:
                optimizer.param_groups[0]['lr'] = LR / 10
            set_gradients(params, step)
            optimizer.step()
        same = all(map(torch.allclose, ours, theirs))
        assert same == (step < 4)


def test_every_group_has_its_own_setting():
    together = parameters()
    settings = [
        dict(lr=0.1, momentum=0.5, weight_decay=0.1),
        dict(lr=0.2, momentum=0.9, weight_decay=0.0),
        dict(lr=0.1, momentum=0.5, weight_decay=0.1),
    ]
    groups = [
        dict(s, params=[p]) for p, s in zip(together, settings, strict=True)
    ]
    alone = parameters()
    optimizers = [
        CaffeSGD(groups, LR),
        *(CaffeSGD([p], **s) for p, s in zip(alone, settings, strict=True)),
    ]
    for step in range(3):
        set_gradients(together, step)
        set_gradients(alone, step)
        for optimizer in optimizers:
            optimizer.step()
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a, b)


def test_types_layouts_and_missing_gradients():
    """Of one group: float32, float64, channels last, sparse, no gradient."""
    single, double = parameters(torch.float32)[0], parameters()[1]
    last = nn.Parameter(
        torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    )
    embedding = nn.Embedding(5, 3, sparse=True)
    unused = nn.Parameter(torch.ones(3))
    params = [single, double, last, embedding.weight, unused]
    dense = copy.deepcopy(params)
    optimizer, expected = caffe_sgd(params), [caffe_sgd([p]) for p in dense]
    for step in range(3):
        set_gradients([single, double, last], step)
        embedding.zero_grad()
        embedding(torch.tensor([1, 3, 1])).square().sum().backward()
        assert embedding.weight.grad.is_sparse
        for param, copied in zip(params, dense, strict=True):
            if param.grad is not None:
                copied.grad = param.grad.to_dense().contiguous()
        for each in (optimizer, *expected):
            each.step()
        for param, copied in zip(params, dense, strict=True):
            torch.testing.assert_close(param, copied)
    assert torch.equal(unused, torch.ones(3))
    assert unused not in optimizer.state
    history = optimizer.state[last]['history']
    assert history.stride() == last.stride()


def test_gradients_stay_as_they_are():
    params = parameters()
    optimizer = caffe_sgd(params)
    set_gradients(params, 0)
    before = [p.grad.clone() for p in params]
    optimizer.step()
    assert all(
        torch.equal(p.grad, g) for p, g in zip(params, before, strict=True)
    )


def test_step_evaluates_a_closure_with_gradients():
    params = parameters()
    optimizer = caffe_sgd(params)

    def closure():
        optimizer.zero_grad()
        loss = sum(p.square().sum() for p in params)
        loss.backward()
        return loss

    assert optimizer.step(closure) > optimizer.step(closure)


def test_state_round_trip_is_exact(tmp_path):
    straight, resumed = parameters(), parameters()
    one, two = caffe_sgd(straight), caffe_sgd(resumed)
    for step in range(2):
        set_gradients(straight, step)
        one.step()
    torch.save((straight, one.state_dict()), tmp_path / 'state.pth')
    values, state = torch.load(tmp_path / 'state.pth', weights_only=True)
    for param, value in zip(resumed, values, strict=True):
        param.data.copy_(value)
    two.load_state_dict(state)
    for step in range(2, 4):
        for optimizer, params in ((one, straight), (two, resumed)):
            set_gradients(params, step)
            optimizer.step()
    for a, b in zip(straight, resumed, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(one.state[a]['history'], two.state[b]['history'])


def test_refuses_the_buffers_of_torch_sgd():
    params = parameters()
    other = torch.optim.SGD(params, LR, MOMENTUM)
    set_gradients(params, 0)
    other.step()
    with pytest.raises(ValueError, match='momentum_buffer.*load_from'):
        caffe_sgd(params).load_state_dict(other.state_dict())


@pytest.mark.skipif(
    not hasattr(torch.amp, 'GradScaler'), reason='PyTorch before 2.3'
)
def test_works_with_a_gradient_scaler():
    params = parameters(torch.float32)
    plain = parameters(torch.float32)
    optimizer, expected = caffe_sgd(params), caffe_sgd(plain)
    scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
    for step in range(3):
        set_gradients(params, step)
        set_gradients(plain, step)
        for param in params:
            param.grad *= scaler.get_scale()
        scaler.scale(torch.zeros(()))  # as before backward()
        if step == 1:
            params[0].grad[0] = torch.inf
        else:
            expected.step()
        scaler.step(optimizer)
        scaler.update()
        for a, b in zip(params, plain, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('lr', -0.1),
        ('lr', float('nan')),
        ('lr', torch.tensor(0.1)),
        ('lr', None),
        ('momentum', 1),
        ('momentum', -0.5),
        ('weight_decay', -1e-4),
        ('weight_decay', '5e-4'),
        ('weight_decay', float('inf')),
    ],
)
def test_bad_settings(name, value):
    cfg = dict(type='mmxdistill.CaffeSGD', params=parameters(), lr=LR)
    with pytest.raises(ValueError, match=f'CaffeSGD: {name}='):
        OPTIMIZERS.build({**cfg, name: value})
    cfg['params'] = [{'params': parameters(), name: value}]
    with pytest.raises(ValueError, match=f'CaffeSGD: {name}='):
        OPTIMIZERS.build(cfg)


def test_is_the_optimizer_of_the_caffe_schedules():
    for schedule, lr in (('sgd_40k', 0.001), ('transfer_100k', 0.01)):
        file = config_path(f'_base_/schedules/{schedule}.py')
        model = nn.Sequential(nn.Linear(1, 1))
        wrapper = build_optim_wrapper(
            model, Config.fromfile(file).optim_wrapper
        )
        assert isinstance(wrapper.optimizer, CaffeSGD)
        weight, bias = wrapper.optimizer.param_groups
        assert (weight['lr'], bias['lr']) == (lr, 2 * lr)
        assert (weight['weight_decay'], bias['weight_decay']) == (0.0005, 0)
        assert weight['momentum'] == bias['momentum'] == 0.9


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_gpu_equals_cpu():
    both = [nn.ParameterList(parameters(torch.float32)) for _ in range(2)]
    both[1].cuda()
    optimizers = [caffe_sgd(params) for params in both]
    for step in range(3):
        for params, optimizer in zip(both, optimizers, strict=True):
            generator = torch.Generator().manual_seed(step)
            for param in params:
                gradient = torch.randn(param.shape, generator=generator)
                param.grad = gradient.to(param.device)
            optimizer.step()
    for a, b in zip(*both, strict=True):
        torch.testing.assert_close(a, b.cpu())


def run_rule(arrays, meta, optimizer=None):
    """The linear problem of ``solver_sgd_rule``; the worst errors."""
    values = {name: torch.tensor(array) for name, array in arrays.items()}
    model = nn.Sequential(nn.Linear(*reversed(arrays['weight'].shape[1:])))
    names = 'weight', 'bias'
    with torch.no_grad():
        for name in names:
            getattr(model[0], name).copy_(values[name][0])
    multipliers = dict(
        zip(
            [f'0.{name}' for name in names],
            zip(meta['lr_mult'], meta['decay_mult'], strict=True),
            strict=True,
        )
    )
    criterion = MODELS.build(
        dict(
            type='mmxdistill.FeatureL2Loss',
            normalization='batch',
            loss_weight=meta['loss_weight'],
        )
    )
    solver = Solver(model, meta['solver'], multipliers, optimizer)
    errors = dict(loss=0.0, weight=0.0, bias=0.0)
    for i, expected in enumerate(arrays['loss']):
        loss = criterion(model(values['x']), values['target'])
        found = loss.detach() / meta['loss_weight']
        errors['loss'] = max(errors['loss'], relative_error(found, expected))
        solver.step(loss)
        for name in names:
            found = getattr(model[0], name)
            error = relative_error(found, arrays[name][i + 1])
            errors[name] = max(errors[name], error)
    return errors


@pytest.mark.golden
def test_updates_are_those_of_caffe(caffe_golden):
    meta, groups = caffe_golden('solver_sgd_rule')
    cases = [case for case, arrays in groups.items() if 'weight' in arrays]
    assert cases
    for case in cases:
        errors = run_rule(groups[case], meta[case])
        assert max(errors.values()) <= TOLERANCE, (case, errors)
        # The tolerance is tight: it tells torch's rule from Caffe's.
        errors = run_rule(groups[case], meta[case], 'SGD')
        assert errors['weight'] > 100 * TOLERANCE, (case, errors)


@pytest.mark.golden
@pytest.mark.filterwarnings('ignore:Detected call of `scheduler.step')
def test_learning_rates_are_those_of_caffe(caffe_golden):
    meta, groups = caffe_golden('solver_sgd_rule')
    cases = [case for case, arrays in groups.items() if 'lr' in arrays]
    assert cases
    for case in cases:
        model = nn.Sequential(nn.Linear(1, 1))
        multipliers = {'0.weight': (1, 1), '0.bias': (2, 0)}
        solver = Solver(model, meta[case]['solver'], multipliers)
        for lr in groups[case]['lr']:
            weight, bias = solver.wrapper.get_lr()['lr']
            assert weight == pytest.approx(float(lr), rel=1e-6), case
            assert bias == 2 * weight
            solver.schedule()
