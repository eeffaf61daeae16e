"""The rates of the study of flow are chosen without its test videos."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / 'tools/dev/flow_rates.py'


@pytest.fixture
def rates(monkeypatch):
    spec = importlib.util.spec_from_file_location('flow_rates', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    spec.loader.exec_module(module)
    return module


def test_learns_and_measures_apart(rates, tmp_path, monkeypatch):
    calls = []

    def run(tool, config, folder, *words):
        folder.mkdir(parents=True, exist_ok=True)
        calls.append((tool, config, words))
        if tool == 'train.py':
            (folder / f'iter_{config.train_cfg.max_iters}.pth').touch()
        else:
            log = folder / 'time' / 'time.json'
            log.parent.mkdir()
            log.write_text(json.dumps({'voc/mAP': 0.5}))

    monkeypatch.setattr(rates, 'run', run)
    found = [
        rates.learn(tmp_path, start, 20, 0.0003, seed=1)
        for start in ('COCO', 'transfer')
    ]
    assert found == [50, 50]
    tools = [tool for tool, _, _ in calls]
    assert tools == ['train.py', 'test.py', *['train.py'] * 2, 'test.py']
    seen = [
        set(config.train_dataloader.dataset.indices) for _, config, _ in calls
    ]
    # Both starts see the same labels, the transfer all that there are.
    assert seen[0] == seen[3] < seen[2] == set(rates.LEARN)
    for tool, config, words in calls:
        if tool == 'test.py':
            dataset = config.test_dataloader.dataset
            assert dataset.ann_file.endswith('annotations_train.json')
            assert not set(dataset.indices) & set(rates.LEARN)
            assert 'iter_40.pth' in words[0]
        elif 'bbox_head' in config.model:
            assert config.optim_wrapper.optimizer.lr == 0.0003
    assert calls[3][1].load_from == str(tmp_path / 'transfer_1/iter_200.pth')
    before = len(calls)
    assert rates.learn(tmp_path, 'transfer', 20, 0.0003, seed=1) == 50
    assert len(calls) == before


def test_last_third_of_each_video(rates, data_root):
    path = data_root / 'mot_flow_pairs/annotations_train.json'
    images = json.loads(path.read_text())['images']
    videos = [Path(image['file_name']).parent.name for image in images]
    assert sorted(rates.LEARN + rates.MEASURE) == list(range(len(videos)))
    for video in set(videos):
        frames = [i for i, name in enumerate(videos) if name == video]
        held = [i for i in frames if i in set(rates.MEASURE)]
        assert held == frames[-len(held) :]
        assert 0.3 < len(held) / len(frames) < 0.36
