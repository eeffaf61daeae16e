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


@pytest.mark.parametrize(
    ('a', 'b', 'message'),
    [
        # Of levels with many anchors: the first anchor that is another.
        (
            [torch.zeros(2, 4), torch.arange(400.0).view(100, 4)],
            [torch.zeros(2, 4), torch.arange(400.0).view(100, 4) - 0.5],
            "x[1][0] differs: {'a': [0.0, 1.0, 2.0, 3.0], 'b': [-0.5, 0.5,",
        ),
        (
            [[0.123456] * 50] * 3,
            [[0.123456] * 50] * 2,
            "the length of x differs: {'a': 3, 'b': 2}",
        ),
        ('u' * 900, 'v', "...', 'b': 'v'}"),
        (None, [1, 2], "x differs: {'a': None, 'b': [1, 2]}"),
    ],
)
def test_message_is_a_line_with_all_values(a, b, message):
    with pytest.raises(ValueError, match='cannot be averaged') as error:
        check_agreement(dict(a=dict(x=a), b=dict(x=b)))
    text = str(error.value)
    assert message in text
    assert '\n' not in text and len(text) < 500
