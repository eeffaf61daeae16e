import json

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmxdistill.apis.results import ResultWriter


def test_pairs_of_one_name_do_not_overwrite_each_other(tmp_path):
    write = ResultWriter(tmp_path, dict(classes=('a',)), 0.3)
    names = ['x', 'x', 'x_1', 'x', 'x_1']
    for number, name in enumerate(names):
        found = InstanceData(
            bboxes=torch.zeros(1, 4),
            labels=torch.zeros(1, dtype=torch.int64),
            scores=torch.full((1,), number / 8),
        )
        sample = DetDataSample(pred_instances=found)
        write(name, sample, dict(rgb=np.zeros((8, 9, 3), np.uint8)))
    files = {
        path.stem: json.loads(path.read_text())['scores'][0] * 8
        for path in (tmp_path / 'preds').iterdir()
    }
    assert sorted(files.values()) == [0, 1, 2, 3, 4]
    assert files['x'] == 0
    assert files['x_1'] == 1
    assert len(list((tmp_path / 'vis').iterdir())) == 5
