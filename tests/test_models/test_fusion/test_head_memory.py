import copy
import sys
from pathlib import Path

import pytest
import torch

from mmxdistill.models.fusion.head_memory import heads_remembered

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from stock import changed, image, pair, samples

# A module of each stream that is asked once, whatever the weights are.
KINDS = dict(
    faster_rcnn='roi_head.bbox_head.fc_cls',
    cascade_mask_rcnn='roi_head.bbox_head.0.fc_cls',
    yolox='bbox_head.multi_level_conv_obj.0',
    tood='bbox_head.tood_cls',
)
WEIGHTS = ([1, 1], [1, 0], [0, 1], [[1, 2, 3], [3, 2, 1]])


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('missing', [(), ('a',)])
def test_several_weights_at_once(kind, missing):
    model, x, batch = (
        pair(kind),
        torch.cat([image(), image(seed=1)], 1),
        samples(),
    )
    batch[1].set_metainfo(dict(missing_modalities=missing))
    asked = []
    module = model.streams['b'].get_submodule(KINDS[kind])
    hook = module.register_forward_hook(lambda *_: asked.append(1))
    expected = []
    for weights in WEIGHTS:
        asked.clear()
        with changed(model, weights):
            expected.append(model.predict(x, copy.deepcopy(batch)))
    once = len(asked)
    asked.clear()
    found = model.detect(x, batch, [model.make_weights(w) for w in WEIGHTS])
    hook.remove()
    assert len(asked) == once > 0
    for of_weights, results in zip(expected, found, strict=True):
        for sample, result in zip(of_weights, results, strict=True):
            own = sample.pred_instances
            assert len(own) == len(result)
            for key in ('bboxes', 'scores', 'labels'):
                assert torch.equal(own[key], result[key])
    assert any(
        not torch.equal(one.scores, other.scores)
        for one, other in zip(found[1], found[2], strict=True)
    )


def test_only_the_same_question_is_remembered():
    with changed(pair('yolox'), same=True) as model:  # one head, two streams
        stream = model.streams['a']
        head, features = stream.bbox_head, stream.extract_feat(image())
        with pytest.raises(RuntimeError), heads_remembered(model.streams):
            first = head(features)
            assert head(tuple(level.clone() for level in features)) is first
            other = head(tuple(level + 1 for level in features))
            assert not torch.equal(other[0][0], first[0][0])
            assert head(features) is first
            head([torch.rand(1, 99, 4, 4)] * 3)  # it has other channels
        assert head(features) is not first
