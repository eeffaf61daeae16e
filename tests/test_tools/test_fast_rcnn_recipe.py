"""The Caffe-faithful test side with the real tools, on tiny data."""

import pickle

import pytest
from warm_python import warm_python

RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
LAST = 'iter_6.pth'
FAITHFUL = """
model = dict(
    roi_head=dict(
        type='mmxdistill.DedupRoIHead',
        bbox_head=dict(
            bbox_coder=dict(_delete_=True, type='mmxdistill.CaffeBBoxCoder'),
        ),
    ),
    test_cfg=dict(
        rcnn=dict(
            _delete_=True,
            max_per_class=20,
            nms=dict(type='nms', iou_threshold=0.3),
        )
    ),
)
# A low IoU: there are hits after six iterations.
val_evaluator = dict(
    _delete_=True,
    type='mmxdistill.ClasswiseVOCMetric',
    iou_thr=0.1,
    max_per_image=4,
)
test_evaluator = val_evaluator
custom_hooks.insert(0, dict(type='mmxdistill.BoxTargetNormalizationHook'))
"""
USUAL = """
model = dict(
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(_delete_=True, type='RoIAlign', output_size=6),
        ),
        bbox_head=dict(
            bbox_coder=dict(
                _delete_=True,
                type='DeltaXYWHBBoxCoder',
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
        ),
    ),
    test_cfg=dict(
        rcnn=dict(
            _delete_=True,
            score_thr=0.0,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=10,
        )
    ),
)
val_evaluator = dict(
    _delete_=True, type='mmxdistill.ClasswiseVOCMetric', iou_thr=0.1
)
test_evaluator = val_evaluator
"""


@pytest.fixture(scope='module')
def trained(workspace):
    """Config of the faithful recipe, after training."""
    config = workspace.config(RGB, 'faithful', FAITHFUL)
    workspace.train(config)
    return config


def check(workspace, config, checkpoint):
    """Run ``tools/test.py``: the metrics and the predictions."""
    work_dir = workspace.path / f'{config.stem}_tested'
    out = workspace.path / f'{config.stem}.pkl'
    workspace.run(
        warm_python(),
        workspace.tools / 'test.py',
        config,
        checkpoint,
        '--work-dir',
        work_dir,
        '--out',
        out,
        '--show-dir',
        'drawn',
    )
    assert len(list(work_dir.rglob('drawn/*.jpg'))) == 3
    predictions = pickle.loads(out.read_bytes())
    assert len(predictions) == 3
    found = [prediction['pred_instances'] for prediction in predictions]
    return workspace.metrics(work_dir), found


@pytest.mark.slow
def test_faithful(workspace, trained):
    work_dir = workspace.work_dir(trained)
    tested, predictions = check(workspace, trained, work_dir / LAST)
    validated = {
        key: value
        for key, value in workspace.metrics(work_dir).items()
        if key.startswith('voc/')
    }
    assert 0 < validated['voc/mAP'] <= 1
    # Trained on normalised targets, validated with them, saved without.
    for key, value in validated.items():
        assert tested[key] == pytest.approx(value, abs=1e-3, nan_ok=True), key
    for found in predictions:
        counts = found['labels'].bincount(minlength=5)
        # No limit over the classes, and at most 20 of each.
        assert counts.max() <= 20 and len(found['scores']) > 20
        assert found['candidate_scores'].shape == (20, 5)
        assert (found['bboxes'][:, 2] <= 95).all()  # of 96 pixels
        assert (found['bboxes'][:, 3] <= 63).all()


@pytest.mark.slow
def test_usual_components_of_mmdet(workspace, trained):
    """The checkpoint does not depend on the components."""
    config = workspace.config(RGB, 'usual', USUAL)
    checkpoint = workspace.work_dir(trained) / LAST
    tested, predictions = check(workspace, config, checkpoint)
    assert 0 <= tested['voc/mAP'] <= 1
    assert all(len(found['scores']) == 10 for found in predictions)
    assert all('candidate_scores' not in found for found in predictions)
