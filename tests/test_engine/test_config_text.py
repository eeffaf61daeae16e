import copy
import pickle

from mmengine.config import Config

from mmxdistill.engine.config_text import format_once

TEXT = 'model = dict(a=1, b=[1, 2])\nlr = 0.1\n'


def test_the_text_is_formatted_when_it_has_changed(monkeypatch):
    calls = []
    plain = Config.pretty_text.fget

    def counted(cfg):
        calls.append(cfg)
        return plain(cfg)

    monkeypatch.setattr(Config, 'pretty_text', property(counted))
    cfg = format_once(Config.fromstring(TEXT, '.py'))
    texts = [cfg.pretty_text for _ in range(3)]
    copied = copy.deepcopy(cfg)  # as the runner does
    texts.append(copied.pretty_text)
    assert len(calls) == 1 and len(set(texts)) == 1
    copied.model.b.append(3)
    assert copied.pretty_text != texts[0]
    assert cfg.pretty_text == texts[0] and len(calls) == 2


def test_it_is_the_text_of_mmengine_and_nothing_else_changes(tmp_path):
    stock = Config.fromstring(TEXT, '.py')
    cfg = format_once(Config.fromstring(TEXT, '.py'))
    cfg.pretty_text  # noqa: B018
    assert cfg.pretty_text == stock.pretty_text
    assert cfg.to_dict() == stock.to_dict() and list(cfg) == list(stock)
    cfg.dump(tmp_path / 'cfg.py')
    assert Config.fromfile(tmp_path / 'cfg.py').to_dict() == stock.to_dict()
    again = pickle.loads(pickle.dumps(cfg))
    assert again.pretty_text == stock.pretty_text
