"""Suggestions beside mmengine's errors about types and keys."""

import pytest
from mmengine.registry import Registry

from mmxdistill import registry
from mmxdistill.engine.config_hints import ConfigError, config_hints


@pytest.fixture
def component(monkeypatch):
    """A component in a stand-in for our registries."""
    models = Registry('model', scope='ours')
    models.register_module(name='SupervisionTransfer', module=dict)
    monkeypatch.setattr(registry, 'MODELS', models)
    monkeypatch.setattr(registry, '__all__', ['MODELS'])


class Mixture:
    def __init__(self, names):
        self.names = names


class MixtureOf(Mixture):
    def __init__(self, weights=(), **kwargs):
        super().__init__(**{'names': (), **kwargs})


@pytest.mark.parametrize(
    'name', ['SupervisionTransfer', 'mmxdistill.SupervisonTransfr']
)
def test_unknown_type_gets_a_suggestion(component, name):
    theirs = Registry('model', scope='theirs')
    with pytest.raises(ValueError) as error, config_hints():
        theirs.build({'type': name})
    assert f'{name} is not in the theirs::model registry' in str(error.value)
    assert "mean 'mmxdistill.SupervisionTransfer'?" in str(error.value)


@pytest.mark.parametrize(
    ('kind', 'keys', 'message'),
    [
        (MixtureOf, dict(weight=1), r"argument 'weight'. Did you.* 'weights'"),
        (MixtureOf, dict(namess=1), r"'namess'. Did you mean 'names'\?"),
        (MixtureOf, dict(x=1), r"argument 'x'$"),
        (Mixture, {}, r'required .* argument'),
    ],
)
def test_unknown_key_gets_a_suggestion(kind, keys, message):
    theirs = Registry('model')
    theirs.register_module(name='it', module=kind)
    with pytest.raises(ConfigError, match=message), config_hints():
        theirs.build(dict(type='it', **keys))
    # Of a program, and none of a config.
    with pytest.raises(TypeError, match='argument'), config_hints():
        kind(**keys)


@pytest.mark.parametrize(
    'key', ['proposals', 'Qqqqq is not in the mmdet::model registry']
)
def test_other_key_errors_pass(component, key):
    with pytest.raises(KeyError, match=key), config_hints():
        raise KeyError(key)
