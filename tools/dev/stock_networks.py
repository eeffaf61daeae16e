"""What architectures.py tries: a transfer, loading its weights, a fusion."""

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.runner.checkpoint import get_state_dict, save_checkpoint
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmxdistill.models.networks import build_network, resolve_network
from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.registry import MODELS

__all__ = ['LEARNING_RATE', 'STEPS', 'Trial', 'run_trial']

STEPS = 20
LEARNING_RATE = 1e-4  # at ten times as much, the ReLU of YOLOX's neck dies
_AROUND = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco'
_OF_THE_TRANSFER = ('transfer_points.', 'data_preprocessor.')
_FEW = 100  # detections

Pair = dict[str, Any]


class Trial(NamedTuple):
    """What is tried.

    Attributes:
        name: Name of the row.
        network: Config of the network.
        feature: Name of the feature.
        side: Of the images, in pixels.
        backbone: What is set in the backbone of a classifier when it becomes
            that of a detector.
    """

    name: str
    network: dict | str
    feature: str
    side: int = 64
    backbone: dict[str, Any] | None = None


def run_trial(trial: Trial) -> dict[str, Any]:
    """Transfer from a network to its copy, load the result, fuse both.

    Args:
        trial: The network.

    Returns:
        What the page says of it.
    """
    torch.manual_seed(0)
    network, preprocessor = _network(trial.network)
    model = MODELS.build(
        dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=preprocessor,
            teacher=network,
            teacher_checkpoint=None,
            student=network,
            modalities=dict(teacher='a', student='b'),
            transfer_points=[
                dict(
                    teacher=trial.feature,
                    student=trial.feature,
                    adaptation=dict(),
                )
            ],
        )
    )
    model.init_weights()
    pair = _pair(trial.side)
    losses = _train(model, pair)
    info = model.student_features.infos[trial.feature]
    row = dict(
        feature=trial.feature,
        layout=info.layout.kind,
        channels=info.channels,
        first=losses[0],
        last=sum(losses[-3:]) / 3,
    )
    detector, prefix = network, ''
    if not isinstance(model.student_network, BaseDetector):
        detector, prefix = _detector_around(network, trial), 'backbone.'
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f'{name}.pth') for name in 'ab'}
        _save(model, files['b'])
        a, b = (build_network(detector) for _ in files)
        row['load'] = _load(b, files['b'], prefix)
        if prefix:
            for stream in (a, b):
                stream.init_weights()
            _load(b, files['b'], prefix)
            backbone = getattr(model.teacher, 'backbone', model.teacher)
            a.backbone.load_state_dict(backbone.state_dict(), strict=False)
            _save(b, files['b'])
        else:
            a = model.teacher
        _save(a, files['a'])
        row['fusion'] = _fuse(detector, preprocessor, files, pair)
    return row


def _network(cfg: dict | str) -> tuple[ConfigDict, dict[str, Any]]:
    """Config of a network with named types, and of the preprocessor."""
    found = resolve_network(cfg)
    network = _without_downloads(found.model)
    if found.scope is not None:
        network['_scope_'] = found.scope
    statistics = found.preprocessing or Preprocessing((0.0,) * 3, (1.0,) * 3)
    padding = network.get('data_preprocessor') or {}
    preprocessor = dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=dict.fromkeys('ab', statistics.as_modality()),
        pad_size_divisor=math.lcm(padding.get('pad_size_divisor', 1), 32),
        pad_value=padding.get('pad_value', 0),
    )
    return network, preprocessor


def _without_downloads(cfg: Any) -> Any:
    """Drop init_cfg that would fetch weights."""
    if isinstance(cfg, dict):
        return ConfigDict(
            {
                key: _without_downloads(value)
                for key, value in cfg.items()
                if not (
                    key in ('init_cfg', 'pretrained')
                    and any(w in str(value) for w in ('ckpt', 'checkpoint'))
                )
            }
        )
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(_without_downloads(item) for item in cfg)
    return cfg


def _pair(side: int) -> Pair:
    """A pair of images, as a data loader gives it."""
    sample = DetDataSample(
        metainfo=dict(
            img_id=0,
            img_path='generated',
            img_shape=(side, side),
            ori_shape=(side, side),
            scale_factor=(1.0, 1.0),
        )
    )
    # Where a detector without an RPN looks.
    corners = torch.tensor([[0.0, 0.0, 0.5, 0.6], [0.2, 0.1, 0.9, 1.0]])
    sample.proposals = InstanceData(bboxes=corners * side)
    # Sparse R-CNN asks for it, whatever it does.
    sample.gt_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    return dict(
        inputs=[torch.rand(6, side, side) * 255], data_samples=[sample]
    )


def _train(model: Any, pair: Pair) -> list[float]:
    """Losses of 20 steps on one pair."""
    model.eval()
    batch = model.data_preprocessor(pair)
    inputs, samples = batch['inputs'], batch['data_samples']
    images = dict(zip('ab', inputs.split(3, 1), strict=True))
    _measure(model.teacher, images['a'], samples)
    _measure(model.student_network, images['b'], samples)
    with torch.no_grad():
        ((_, target),) = model.raw_features(inputs, samples)
    model.points[0].loss.calibrate(0.5 * float(target.square().sum()))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=LEARNING_RATE, fused=True)
    losses = []
    # Evaluation mode: one image is no batch, and dropout is noise.
    for _ in range(STEPS):
        loss = sum(model.loss(inputs, samples).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _measure(network: Any, image: Tensor, samples: list) -> None:
    """Take the statistics of batch normalisations from an image.

    Without, the features of deep networks with random weights are 0 or huge.
    """
    with _measuring(network), torch.no_grad():
        if isinstance(network, BaseDetector):
            network(image, [s.clone() for s in samples], mode='tensor')
        else:
            getattr(network, 'backbone', network)(image)


@contextmanager
def _measuring(network: nn.Module) -> Iterator[None]:
    def prepare(norm: Any, args: tuple) -> None:
        norm.training = args[0].numel() > args[0].shape[1]  # or no variance

    norms: list[Any] = [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [norm.momentum for norm in norms]
    handles = [norm.register_forward_pre_hook(prepare) for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    yield
    for norm, momentum, handle in zip(norms, momenta, handles, strict=True):
        handle.remove()
        norm.momentum, norm.training = momentum, False


def _save(network: Any, path: str) -> None:
    save_checkpoint(dict(state_dict=get_state_dict(network)), path)


def _load(detector: Any, path: str, prefix: str) -> list[int]:
    """Load a checkpoint; the numbers of missing and unexpected keys."""
    state = {
        key.removeprefix(prefix): value
        for key, value in torch.load(path)['state_dict'].items()
        if key.startswith(prefix) and not key.startswith(_OF_THE_TRANSFER)
    }
    part = detector.backbone if prefix else detector
    return [len(keys) for keys in part.load_state_dict(state, strict=False)]


def _detector_around(network: ConfigDict, trial: Trial) -> ConfigDict:
    """Faster R-CNN with the backbone of a classifier."""
    detector = resolve_network(_AROUND).model
    backbone = ConfigDict(network.get('backbone', network))
    backbone.update(trial.backbone or {})
    if '_scope_' in network:
        backbone['_scope_'] = network['_scope_']
    images = torch.rand(1, 3, trial.side, trial.side)
    model = MODELS.build(backbone)
    model.eval()  # of mmpretrain it returns None
    with torch.no_grad():
        maps = model(images)
    strides = [trial.side // x.shape[3] for x in maps]
    detector.backbone = backbone
    detector.data_preprocessor = None
    detector.neck.in_channels = [x.shape[1] for x in maps]
    detector.neck.num_outs = len(maps)
    detector.rpn_head.anchor_generator.strides = strides
    extractor = detector.roi_head.bbox_roi_extractor
    extractor.featmap_strides = strides
    return ConfigDict(detector, _scope_='mmdet')


def _fuse(
    detector: ConfigDict,
    preprocessor: dict[str, Any],
    files: dict[str, str],
    pair: Pair,
) -> int | str:
    """Number of detections of two streams, or why there are none."""
    try:
        model = MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                streams={
                    name: dict(model=detector, checkpoint=path)
                    for name, path in files.items()
                },
                data_preprocessor=preprocessor,
                test_cfg=_all_scores(detector.get('test_cfg')),
            )
        )
    except ValueError as error:
        return str(error).rpartition('cannot be fused: ')[2]
    model.eval()
    try:
        with torch.no_grad():
            found = model.test_step(pair)[0].pred_instances
    except AttributeError as error:  # the head cannot detect by itself
        return str(error)
    if not found.bboxes.isfinite().all() or not found.scores.isfinite().all():
        return 'boxes of random weights overflow'
    return len(found)


def _all_scores(cfg: Any) -> Any:
    """Settings with which random weights detect something."""
    if not isinstance(cfg, dict):
        return cfg
    few = dict(score_thr=0.0, max_per_img=_FEW)
    return ConfigDict({k: few.get(k, _all_scores(v)) for k, v in cfg.items()})
