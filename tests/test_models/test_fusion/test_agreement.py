import pytest
import torch
from mmdet.models.task_modules import DeltaXYWHBBoxCoder

from mmxdistill.models.fusion.agreement import (
    canonical,
    check_agreement,
    coder_settings,
)


def test_canonical():
    assert canonical([1, (2.0, 'a')]) == canonical((1.0, [2, 'a']))
    assert canonical(torch.tensor([1, 2])) == canonical([1.0, 2.0])


def agree(a, b):
    check_agreement(
        dict(rgb=coder_settings('coder', a), hha=coder_settings('coder', b))
    )


def test_coders():
    zeros, stds = [0.0] * 4, (0.1, 0.1, 0.2, 0.2)
    coder = DeltaXYWHBBoxCoder(zeros, stds)
    agree(coder, DeltaXYWHBBoxCoder((0,) * 4, list(stds)))
    agree(coder, DeltaXYWHBBoxCoder(zeros, stds, clip_border=False))
    with pytest.raises(ValueError, match='coder.target_stds differs.*0.3'):
        agree(coder, DeltaXYWHBBoxCoder(zeros, (0.3,) * 4))
    with pytest.raises(ValueError, match='coder.add_ctr_clamp differs'):
        agree(coder, DeltaXYWHBBoxCoder(zeros, stds, add_ctr_clamp=True))
    with pytest.raises(ValueError, match="coder.type differs.*'NoneType'"):
        agree(coder, None)
