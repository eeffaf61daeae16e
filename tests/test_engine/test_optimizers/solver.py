"""Caffe's solver settings as the configs that mmengine builds from."""

from collections import Counter

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

# Worst measured agreement of an independent implementation: 2e-6 of max|w|
# and 7e-7 of the losses.
TOLERANCE = 1e-5


def relative_error(found, expected):
    """Largest difference, relative to the largest expected value."""
    found = torch.as_tensor(found).detach().numpy()
    assert found.shape == expected.shape
    error = np.abs(found - expected).max()
    return float(error / np.abs(expected).max()) if error else 0.0


def paramwise_cfg(multipliers):
    """Caffe's (lr_mult, decay_mult) by name of the parameter."""
    biases = Counter(m for k, m in multipliers.items() if k.endswith('bias'))
    ((bias, _),) = biases.most_common(1)
    others = {
        name: dict(lr_mult=lr, decay_mult=decay)
        for name, (lr, decay) in multipliers.items()
        if (lr, decay) != (bias if name.endswith('bias') else (1, 1))
    }
    return dict(
        bias_lr_mult=bias[0], bias_decay_mult=bias[1], custom_keys=others
    )


def scheduler_cfgs(settings, passes):
    """The learning-rate policy, in iterations of mmengine."""
    if settings['lr_policy'] == 'fixed':
        return []
    rule = {
        'step': lambda: dict(
            type='StepLR', step_size=settings['stepsize'] * passes
        ),
        'multistep': lambda: dict(
            type='MultiStepLR',
            milestones=[value * passes for value in settings['stepvalue']],
        ),
    }[settings['lr_policy']]()
    return [dict(rule, by_epoch=False, gamma=settings['gamma'])]


class Solver:
    """Optimizer and schedulers of a model, built from Caffe's settings."""

    def __init__(self, model, settings, multipliers, optimizer=None):
        known = (
            'base_lr momentum weight_decay lr_policy gamma stepsize stepvalue '
            'max_iter iter_size clip_gradients'
        )
        assert not settings.keys() - set(known.split())
        passes = settings.get('iter_size', 1)
        clip = settings.get('clip_gradients')
        cfg = dict(
            type='OptimWrapper',
            optimizer=dict(
                type=optimizer or 'mmxdistill.CaffeSGD',
                lr=settings['base_lr'],
                momentum=settings['momentum'],
                weight_decay=settings['weight_decay'],
            ),
            paramwise_cfg=paramwise_cfg(multipliers),
        )
        if passes > 1 or clip:
            cfg.update(
                type='mmxdistill.CaffeOptimWrapper',
                accumulative_counts=passes,
                clip_grad=dict(max_norm=clip) if clip else None,
            )
        self.wrapper = build_optim_wrapper(model, cfg)
        self.schedulers = [
            PARAM_SCHEDULERS.build(
                cfg, default_args=dict(optimizer=self.wrapper)
            )
            for cfg in scheduler_cfgs(settings, passes)
        ]

    def step(self, loss):
        """One iteration of mmengine's training loop, after the forward."""
        self.wrapper.update_params(loss)
        self.schedule()

    def schedule(self):
        """What ParamSchedulerHook does after each iteration."""
        for scheduler in self.schedulers:
            scheduler.step()
