import contextlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mmxdistill.evaluation import fusion_weights
from mmxdistill.evaluation.head_memory import heads_remembered

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'test_models'))
from stock import changed, image, pair, samples

# Module of stream b that is asked once, whatever the weights are.
KINDS = dict(
    faster_rcnn='roi_head.bbox_head.fc_cls',
    cascade_mask_rcnn='roi_head.bbox_head.0.fc_cls',
    yolox='bbox_head.multi_level_conv_obj.0',
    retinanet='bbox_head.retina_cls',
)


@pytest.mark.parametrize('kind', KINDS)
def test_fit_with_and_without_memory(kind, monkeypatch):
    model = pair(kind)
    x = torch.cat([image(), image(seed=1)], 1)
    batch = dict(inputs=list(x), data_samples=samples())
    data = model.data_preprocessor(batch, False)
    truths = [
        (found.pred_instances.bboxes[:5], found.pred_instances.labels[:5])
        for found in model.predict(data['inputs'], data['data_samples'])
    ]
    asked = []
    module = model.streams['b'].get_submodule(KINDS[kind])
    hook = module.register_forward_hook(lambda *_: asked.append(1))

    def fit():
        asked.clear()
        batch = dict(inputs=list(x), data_samples=samples())
        found = fusion_weights.fit_fusion_weights(
            model, [(batch, truths)], steps=4
        )
        return found.curve, len(asked)

    curve, calls = fit()
    monkeypatch.setattr(
        fusion_weights,
        'heads_remembered',
        lambda _: contextlib.nullcontext(),
    )
    without, all_calls = fit()
    hook.remove()
    np.testing.assert_array_equal(curve, without)
    assert len(np.unique(curve.round(6), axis=0)) > 1
    assert all_calls == 5 * calls > 0


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
