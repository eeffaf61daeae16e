"""What the flags of ``tools/train.py`` and ``tools/test.py`` change."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner, find_latest_checkpoint
from torch import nn

from mmxdistill import compat, registry
from mmxdistill.cli import own_message
from mmxdistill.datasets.coco_categories import check_categories
from mmxdistill.engine.config_hints import ConfigError, config_hints
from mmxdistill.engine.config_text import format_once
from mmxdistill.engine.labels import check_labels
from mmxdistill.engine.loaded_weights import check_file, watch_loading
from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.models.pretrained import check_initializers
from mmxdistill.parallel import describe_error

__all__ = [
    'ConfigError',
    'add_flipped_views',
    'build_runner',
    'draw_predictions',
    'load_config',
    'plain_errors',
    'resume',
    'scale_learning_rate',
    'use_amp',
]


def load_config(
    file: str,
    options: Mapping[str, Any] | None = None,
    work_dir: str | None = None,
    launcher: str = 'none',
) -> Config:
    """Read a config, in the text or the new Python style.

    Args:
        file (str): The config.
        options (Mapping, optional): Dotted key -> value, to be overridden.
        work_dir (str, optional): Folder of the run. Defaults to that of the
            config, else to ``work_dirs/<name of the config>``.
        launcher (str): How the processes were started. Defaults to 'none'.

    Returns:
        Config: The config of the run.

    Raises:
        ConfigError: The config cannot be read, or an option does not fit it.
    """
    try:
        cfg = Config.fromfile(file)
        cfg.launcher = launcher
        if options is not None:
            cfg.merge_from_dict(dict(options))
    except Exception as error:  # a config is a program
        raise ConfigError(f'{file}: {describe_error(error)}') from error
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(file).stem))
    compat.prepare_cpu_processes(cfg)
    return cfg


def use_amp(cfg: Config) -> None:
    """Train in mixed precision (``--amp``).

    Args:
        cfg (Config): Is modified, unless it does so already.

    Raises:
        ConfigError: Its own ``optim_wrapper`` would be replaced.
    """
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    kind = cfg.optim_wrapper.get('type', OptimWrapper)
    found = kind
    if not inspect.isclass(kind):
        found = registry.OPTIM_WRAPPERS.get(kind)
    if found is not None and issubclass(found, AmpOptimWrapper):
        return
    if found is not OptimWrapper:
        name = getattr(kind, '__name__', kind)
        raise ConfigError(
            f'--amp would replace the optim_wrapper {name} of {cfg.filename}, '
            'and its way to accumulate and clip gradients; train it without '
            '--amp'
        )
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.loss_scale = 'dynamic'


def scale_learning_rate(cfg: Config) -> None:
    """Scale the learning rate to the batch size (``--auto-scale-lr``).

    Args:
        cfg (Config): Is modified.

    Raises:
        ConfigError: It does not say for which batch size its rate is.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ConfigError(
            f'--auto-scale-lr: {cfg.filename} does not say for which batch '
            'size its learning rate was chosen; add '
            'auto_scale_lr = dict(base_batch_size=...)'
        )
    cfg.auto_scale_lr.enable = True


def resume(cfg: Config, checkpoint: str) -> None:
    """Continue a training (``--resume``).

    Args:
        cfg (Config): Is modified.
        checkpoint (str): A checkpoint; 'auto' is the last one in the work
            dir. A run that was stopped before its first one starts again,
            from the weights that the config loads.
    """
    if checkpoint == 'auto':
        cfg.resume = bool(find_latest_checkpoint(cfg.work_dir))
        cfg.load_from = None if cfg.resume else cfg.get('load_from')
    else:
        cfg.resume = True
        cfg.load_from = checkpoint


def draw_predictions(
    cfg: Config,
    show: bool = False,
    folder: str | None = None,
    wait_time: float = 2,
) -> None:
    """Draw the predictions of a test (``--show``, ``--show-dir``).

    Args:
        cfg (Config): Is modified.
        show (bool): In a window. Defaults to False.
        folder (str, optional): Below ``<work dir>/<time>``.
        wait_time (float): Seconds that each stays in the window. Defaults
            to 2.

    Raises:
        ConfigError: The config has no hook that draws.
    """
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise ConfigError(
            f'--show, --show-dir: {cfg.filename} has no default_hooks.'
            "visualization; add dict(type='DetVisualizationHook')"
        )
    hook.draw = True
    if show:
        hook.show = True
        hook.wait_time = wait_time
    if folder is not None:
        hook.test_out_dir = folder


_FLIPS = ('RandomFlip', 'CaffeRandomFlip')
_FLIP_COMPANIONS = ('FlipFlow',)
_BROADCASTERS = ('FastProposalBroadcaster', 'ProposalBroadcaster')


def add_flipped_views(cfg: Config) -> None:
    """Test every image and its mirror image together (``--tta``).

    The config's own ``tta_model`` and ``tta_pipeline`` are used if it has
    them. Otherwise images are mirrored as in training, with their proposals
    and their flow, before anything else is done to them; so objects that the
    pipeline loads later are those of the original image, which comes first.

    Args:
        cfg (Config): Is modified.

    Raises:
        ConfigError: It is not clear how to mirror the images.
    """
    data = _innermost(cfg.test_dataloader.dataset)
    if 'tta_pipeline' not in cfg:
        cfg.tta_pipeline = _mirrored(cfg, data.get('pipeline') or [])
    if 'tta_model' not in cfg:
        inclusive = 'CaffeRandomFlip' in map(_name, _flips(cfg))
        cfg.tta_model = dict(
            type='mmxdistill.CaffeTTAModel' if inclusive else 'DetTTAModel',
            tta_cfg=_suppression(cfg.model.get('test_cfg')),
        )
        _drop_limit_over_images(cfg)
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    data.pipeline = cfg.tta_pipeline


def _innermost(dataset: Any) -> Any:
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return dataset


def _name(config: Mapping[str, Any]) -> str:
    """Name of a component, without scope; ``type`` may be the class."""
    kind = config['type']
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def _suppression(test_cfg: Mapping[str, Any] | None) -> dict[str, Any]:
    """How detections of both views are reduced: as those of one view are."""
    test_cfg = test_cfg or {}
    test_cfg = test_cfg.get('rcnn') or test_cfg
    return dict(
        nms=test_cfg.get('nms') or dict(type='nms', iou_threshold=0.5),
        max_per_img=test_cfg.get('max_per_img', 100),
    )


def _drop_limit_over_images(cfg: Config) -> None:
    """Let the metric do without scores that merged views do not have."""
    evaluator = cfg.get('test_evaluator') or {}
    metrics = evaluator if isinstance(evaluator, list) else [evaluator]
    for metric in metrics:
        if 'type' in metric and _name(metric) == 'ClasswiseVOCMetric':
            logging.getLogger(__name__).warning(
                '--tta: %s counts at most %d detections of an image, instead '
                'of max_per_image on average.',
                _name(metric),
                cfg.tta_model.tta_cfg.max_per_img,
            )
            metric['max_per_image'] = None


def _flips(cfg: Config) -> list[dict[str, Any]]:
    """How the training mirrors images: ``RandomFlip`` and what follows it."""
    loader = cfg.get('train_dataloader') or {}
    found: dict[str, dict[str, Any]] = {}

    def search(node: Any) -> None:
        if isinstance(node, Mapping):
            if 'type' in node and _name(node) in (*_FLIPS, *_FLIP_COMPANIONS):
                found.setdefault(_name(node), dict(node))
            node = list(node.values())
        if isinstance(node, (list, tuple)):
            for child in node:
                search(child)

    search(loader.get('dataset'))
    flips = [value for name, value in found.items() if name in _FLIPS]
    if len(flips) != 1:
        raise ConfigError(
            f'--tta: the training of {cfg.filename} mirrors its images in '
            f'{len(flips)} ways, so it is not clear how to do that in a test: '
            'give the config a tta_pipeline'
        )
    return [*flips, *(found[n] for n in _FLIP_COMPANIONS if n in found)]


def _mirrored(cfg: Config, pipeline: Sequence[Any]) -> list[Any]:
    flip, *others = _flips(cfg)
    direction = flip.get('direction', 'horizontal')
    if not isinstance(direction, str):
        direction = direction[0]
    flips = [
        dict(type=flip['type'], prob=prob, direction=direction)
        for prob in (0.0, 1.0)
    ]
    names = [_name(transform) for transform in pipeline]
    start = 0
    while start < len(names) and names[start].startswith('Load'):
        start += 1
    if start < len(names) and names[start] in _BROADCASTERS:
        moved = pipeline[start]
        inner = [*others, *moved['transforms']]
        views = [{**moved, 'transforms': [f, *inner]} for f in flips]
        rest = pipeline[start + 1 :]
    elif 'LoadProposals' in names:
        raise ConfigError(
            f'--tta: the proposals of {cfg.filename} are not moved with the '
            'images: give the config a tta_pipeline'
        )
    else:
        views, rest = flips, [*others, *pipeline[start:]]
    steps = [views, *([transform] for transform in rest)]
    augment = dict(type='TestTimeAug', transforms=steps)
    return [*pipeline[:start], augment]


def build_runner(cfg: Config, loop: str) -> Runner:
    """Build the runner that the config asks for, with its data sets.

    Args:
        cfg (Config): Of the run.
        loop (str): 'train' or 'test', what is going to be run.

    Returns:
        Runner: The runner.

    Raises:
        ConfigError: A component refuses its settings, a file is missing or
            cannot be loaded, or the model has other classes than the data.
    """
    try:
        with config_hints():
            if cfg.get('load_from'):
                check_file(cfg.load_from)
            build = RUNNERS.build if 'runner_type' in cfg else Runner.from_cfg
            runner = build(format_once(cfg))
            model = runner.model
            if is_model_wrapper(model):
                model = model.module
            model = getattr(model, 'module', model)  # of test-time views
            # A strategy builds the model later.
            if isinstance(model, nn.Module):
                _check_weights(model, cfg, loop == 'test')
            # They are built when they are asked for.
            loops = ['train', 'val'] if loop == 'train' else [loop]
            for name in loops:
                built = getattr(runner, f'{name}_loop')
                if built is not None:
                    _check_classes(model, built)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    except KeyError as error:
        message = own_message(error)
        if message is None:
            raise
        raise ConfigError(message) from error
    return runner


def _check_weights(model: Any, cfg: Config, test: bool) -> None:
    """Refuse to run with weights that come from nowhere."""
    start = cfg.get('load_from')
    if start:
        # Streams of a fusion may have weights of their own files.
        loaded: list[str] = getattr(model, 'loaded_parts', list)()
        watch_loading(model, start, test, ConfigError, loaded)
    elif not cfg.get('resume'):
        # Of a fusion; later it would fail at the first batch.
        getattr(model, 'check_loaded', list)()
        check_initializers(model)


def _check_classes(model: Any, loop: Any) -> None:
    loader = getattr(loop, 'dataloader', None)
    if loader is None or not isinstance(model, nn.Module):
        return
    transfer = isinstance(model, SupervisionTransfer)
    # Most transfers need no labels.
    if not transfer or model.student_loss_weight:
        check_categories(loader.dataset)
    if not transfer:
        check_labels(model, loader.dataset)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say in a line what a run could not read.

    Raises:
        ConfigError: In place of an error of ours about a file or a key that
            was met on the way.
    """
    try:
        yield
    except (KeyError, OSError, ValueError) as error:
        message = own_message(error)
        if message is None or isinstance(error, ConfigError):
            raise
        raise ConfigError(message) from error
