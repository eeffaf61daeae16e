import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from converters import runner

from mmxdistill.datasets import ShardedPairedDataset

CONFIG = """
load = [dict(type='LoadImageFromFile')]
train_dataloader = dict(dataset=dict(
    type='mmxdistill.PairedDataset', data_root={root!r}, pipeline=[],
    modalities=dict(
        rgb=dict(path='rgb/{{stem}}.png', pipeline=load),
        hha=dict(path='hha/{{stem}}.png', pipeline=load))))
"""


def test_pairs_of_a_config_are_packed_and_indexed(tmp_path, monkeypatch):
    for name in ('rgb', 'hha'):
        (tmp_path / name).mkdir()
        for number in range(3):
            image = np.full((8, 9, 3), number + 10, np.uint8)
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), image)
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(root=str(tmp_path)))
    run = runner('pack_shards', monkeypatch)
    out = tmp_path / 'shards'
    assert run(out, config, '--per-shard', 2) == 0
    assert len(list(out.glob('*.tar'))) == 2
    (out / 'index.json').unlink()
    assert run(out) == 0  # of shards that are there
    load = dict(pipeline=[dict(type='LoadImageFromFile')])
    data = ShardedPairedDataset(
        'shards', dict(rgb=load, hha=load), data_root=str(tmp_path)
    )
    assert [int(data[i]['img'][0, 0, 5]) for i in range(3)] == [10, 11, 12]
    (tmp_path / 'hha/1.png').write_bytes(b'damaged')
    assert "hha/1.png'" in run(tmp_path / 'other', config)
