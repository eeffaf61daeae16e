"""Reading configs without a word."""

import logging

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmxdistill import config_path
from mmxdistill.studies.configs import load_config

CONFIG = '_base_/datasets/coco_detection_rgb.py'


def test_load_config_says_nothing(monkeypatch):
    monkeypatch.setenv('MMXDISTILL_DATA', 'elsewhere')
    load_config.cache_clear()
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel('INFO')
    try:
        plain = Config.fromfile(config_path(CONFIG))
        assert said  # mmengine's note
        said.clear()
        cfg = load_config(CONFIG)
        assert logger.level == logging.INFO
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        load_config.cache_clear()
    assert not said
    assert cfg.to_dict() == plain.to_dict()
    assert 'elsewhere' in str(cfg.to_dict())
