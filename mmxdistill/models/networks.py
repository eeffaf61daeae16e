"""Networks that are parts of a larger model: configs, weights, statistics."""

from __future__ import annotations

import copy
import logging
import os.path as osp
from collections.abc import Mapping
from contextlib import nullcontext
from importlib import import_module
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmxdistill import config_path
from mmxdistill.models.checkpoints import deeper_layers, read_checkpoint
from mmxdistill.models.label_sets import config_classes
from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.models.pretrained import check_initializers
from mmxdistill.registry import MODELS

__all__ = [
    'ResolvedNetwork',
    'build_network',
    'load_weights',
    'names_weights',
    'resolve_network',
]

_SHOWN = 5
# A backbone loads from a detector's file, any network from one of a wrapper.
_PREFIXES = ('', 'backbone.', 'module.')


class ResolvedNetwork(NamedTuple):
    """What a config says about a network.

    Attributes:
        model (ConfigDict): Config of the network, a copy of what was given.
        preprocessing (Preprocessing | None): How the network wants its
            images; None if its config does not say (a plain backbone).
        scope (str | None): Registry scope of the types in ``model``; None for
            the current one.
        classes (tuple[str, ...] | None): Names of the classes, if the config
            has data loaders that tell.
        checkpoint (str | None): Where ``tools/train.py`` leaves the last
            checkpoint of the config; None if it is no file, or has no
            schedule.
    """

    model: ConfigDict
    preprocessing: Preprocessing | None
    scope: str | None
    classes: tuple[str, ...] | None = None
    checkpoint: str | None = None


def resolve_network(cfg: Mapping | str) -> ResolvedNetwork:
    """Read the config of a network.

    Args:
        cfg (dict | str): Config of a model or backbone, or of a whole
            experiment (with ``model``), or where it is: a path, a name below
            the ``configs`` of mmxdistill, or of another package as in
            ``'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'`` and
            ``'mmpretrain::dinov2/...'``. It is not modified.

    Returns:
        ResolvedNetwork: The network's config, preprocessing and scope.

    Raises:
        FileNotFoundError: No such config file or package.
        ImportError: The config needs a package that is not installed.
        ValueError: The config describes no network.
    """
    scope, classes, package, checkpoint = None, None, None, None
    where = 'the config'
    found: Any = cfg
    if isinstance(cfg, str):
        where = f"'{cfg}'"
        package = cfg.rpartition('::')[0] or None
        file = cfg if osp.isfile(cfg) else config_path(cfg)
        try:
            found = Config.fromfile(file)
        except ImportError as error:  # of mmengine: all of sys.path
            raise ImportError(
                f'{where}: {error.__cause__ or error} (custom_imports): '
                'install the package, or correct the name'
            ) from error
        checkpoint = _last_checkpoint(found)
    if isinstance(found, Config):
        found = found._cfg_dict
    if not isinstance(found, Mapping):
        raise ValueError(
            'a network is given as a dict, or as the name of a config file; '
            f'found {found!r}'
        )
    if 'type' not in found and isinstance(found.get('model'), Mapping):
        # Not all configs of a package say its scope.
        scope = found.get('default_scope', package)
        classes = config_classes(found)
        shared = found.get('data_preprocessor')
        found = ConfigDict(copy.deepcopy(found['model']))
        if shared is not None:  # as mmengine's runner does
            found.setdefault('data_preprocessor', copy.deepcopy(shared))
    if 'type' not in found:
        raise ValueError(
            f'{where} describes no network: it has neither "type" nor a '
            f'"model" with one, only {list(found)[:_SHOWN]}'
        )
    model = ConfigDict(copy.deepcopy(found))
    with _scope(scope):
        preprocessing = _preprocessing(model)
    return ResolvedNetwork(model, preprocessing, scope, classes, checkpoint)


def _last_checkpoint(cfg: Config) -> str | None:
    """What a run of a config leaves in the end, by its schedule."""
    train = cfg.get('train_cfg') or {}
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    # The defaults are those of mmengine's CheckpointHook.
    unit = 'epoch' if hook.get('by_epoch', True) else 'iter'
    number = train.get(f'max_{unit}s')
    if not hook or number is None:
        return None
    folder = cfg.get('work_dir') or osp.join(
        'work_dirs', osp.splitext(osp.basename(cfg.filename))[0]
    )
    name = hook.get('filename_tmpl') or f'{unit}_{{}}.pth'
    return osp.join(folder, name.format(number))


def names_weights(model: Mapping) -> bool:
    """Whether a model needs no checkpoint of its own.

    Args:
        model (dict): Config of any model.

    Returns:
        bool: It is a detector that is put together from others, with their
        checkpoints; or a late fusion, all streams of which are such, name
        their checkpoints, or are files, which have the last one of their
        training.
    """
    if 'streams' in model:
        return bool(model['streams']) and all(
            map(_stream_names_weights, model['streams'].values())
        )
    return 'detector' in model and all(
        model.get(key, True) for key in ('checkpoint', 'transfer_checkpoint')
    )


def _stream_names_weights(stream: Mapping) -> bool:
    model = stream.get('model')
    if isinstance(model, Mapping) and names_weights(model):
        return True
    return bool(stream.get('checkpoint', isinstance(model, str)))


def _scope(name: str | None) -> Any:
    if name is None:
        return nullcontext()
    try:
        import_module(f'{name}.registry')
    except ImportError as error:
        raise ImportError(
            f"the config's default_scope is '{name}', whose components cannot "
            f'be imported: {error}'
        ) from error
    return DefaultScope.overwrite_default_scope(name)


def _preprocessing(model: ConfigDict) -> Preprocessing | None:
    if 'data_preprocessor' in model:
        return Preprocessing.from_config(model['data_preprocessor'])
    kind = model['type']
    if isinstance(kind, str):
        kind = MODELS.get(kind)
    # Wrappers of other libraries know it from the weights they name.
    return getattr(kind, 'preprocessing', lambda _: None)(model)


def build_network(cfg: Mapping | str | ResolvedNetwork) -> Any:
    """Build a network from its config.

    Args:
        cfg (dict | str | ResolvedNetwork): See :func:`resolve_network`.

    Returns:
        nn.Module: The network.

    Raises:
        ValueError: See :func:`check_initializers`.
    """
    if not isinstance(cfg, ResolvedNetwork):
        cfg = resolve_network(cfg)
    with _scope(cfg.scope):
        network = MODELS.build(copy.deepcopy(cfg.model))
    check_initializers(network)
    return network


def load_weights(
    network: nn.Module, checkpoint: str, role: str
) -> tuple[str, ...] | None:
    """Load all weights of a network from a checkpoint, or fail.

    A backbone also loads from the checkpoint of a detector that contains it
    (keys ``backbone.*``). Surplus weights, such as heads, are ignored.

    Args:
        network (nn.Module): The network.
        checkpoint (str): File, URL or alias that mmengine can load.
        role (str): What the network is, for messages: ``'teacher'``.

    Returns:
        tuple[str, ...] | None: Names of the classes, if the file has them.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: Weights are missing or have other shapes, it is of a
            deeper backbone, or it is no checkpoint.
    """
    loaded = read_checkpoint(checkpoint, f'the {role}')
    state: dict[str, Tensor] = loaded.get('state_dict', loaded)
    wanted = network.state_dict()
    state = max(
        ({k.removeprefix(p): v for k, v in state.items()} for p in _PREFIXES),
        key=lambda candidate: len(candidate.keys() & wanted.keys()),
    )
    missing = [
        key
        for key in wanted
        if key not in state and not key.endswith('num_batches_tracked')
    ]
    reshaped = [
        f'{key}: {tuple(state[key].shape)} in the file, '
        f'{tuple(value.shape)} in the {role}'
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if missing or reshaped:
        raise ValueError(
            f"the weights in '{checkpoint}' do not fit the {role} "
            f'{type(network).__name__}: {len(missing)} missing '
            f'{missing[:_SHOWN]}, {len(reshaped)} of another shape '
            f'{reshaped[:_SHOWN]}; the file has {list(state)[:_SHOWN]} ... '
            f'Use the config that the file was trained with'
        )
    network.load_state_dict(
        {key: value for key, value in state.items() if key in wanted},
        strict=False,
    )
    surplus = [key for key in state if key not in wanted]
    if deeper := deeper_layers(network, surplus):
        raise ValueError(
            f"'{checkpoint}' is of a deeper backbone than that of the {role} "
            f'{type(network).__name__}, which has no {deeper[:_SHOWN]}: use '
            'the config that the file was trained with'
        )
    print_log(
        f"loaded the {role} from '{checkpoint}'"
        + (f' ({len(surplus)} other weights not used)' if surplus else ''),
        logger='current',
        level=logging.INFO,
    )
    found = (loaded.get('meta') or {}).get('dataset_meta') or {}
    # A list if the data sets of a ConcatDataset differ, as pairs without
    # labels do.
    metas = found if isinstance(found, (list, tuple)) else [found]
    for meta in metas:
        classes = meta.get('classes', meta.get('CLASSES'))
        # A string is the name of a set, as 'coco80', of which nothing is
        # known.
        if classes and not isinstance(classes, str):
            return tuple(classes)
    return None
