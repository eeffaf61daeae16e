import random
from types import SimpleNamespace

import numpy as np
import torch

from mmxdistill.engine.hooks import IterationSeedHook


def draw(seed, iteration):
    runner = SimpleNamespace(seed=seed, iter=iteration)
    IterationSeedHook().before_train_iter(runner, 0)
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_depends_on_seed_and_iteration_alone():
    first = draw(3, 17)
    draw(3, 18)
    assert draw(3, 17) == first
    for other in (draw(3, 18), draw(4, 17)):
        assert all(a != b for a, b in zip(first, other, strict=True))
