import pytest
import torch

from mmxdistill.evaluation.metrics import ClasswiseVOCMetric


def sample(gt, labels, detections):
    boxes = [d[:4] for d in detections]
    return dict(
        gt_instances=dict(
            bboxes=torch.tensor(gt, dtype=torch.float32),
            labels=torch.tensor(labels),
        ),
        ignored_instances=dict(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0)
        ),
        pred_instances=dict(
            bboxes=torch.tensor(boxes, dtype=torch.float32),
            scores=torch.tensor([d[4] for d in detections]),
            labels=torch.tensor([d[5] for d in detections]),
        ),
    )


def test_area_under_the_precision_envelope_per_class():
    metric = ClasswiseVOCMetric()
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process(
        None,
        [
            sample(
                [[0, 0, 9, 9], [20, 20, 29, 29]],
                [0, 1],
                [
                    (0, 0, 9, 9, 0.5, 0),  # hit after a miss
                    (40, 40, 49, 49, 0.9, 0),
                    (20, 20, 29, 29, 0.8, 1),
                ],
            ),
            sample([[0, 0, 9, 9]], [0], [(50, 50, 59, 59, 0.1, 1)]),
        ],
    )
    result = metric.evaluate(2)
    # a: recall 1/2 at precision 1/2; b: recall 1 at precision 1.
    assert result['voc/AP_a'] == pytest.approx(0.25)
    assert result['voc/AP_b'] == pytest.approx(1)
    assert result['voc/mAP'] == pytest.approx(0.625)
