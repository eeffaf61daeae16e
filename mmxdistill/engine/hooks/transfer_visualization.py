"""Shows how a transfer goes, in numbers and in feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.structures import SampleList
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch import Tensor

from mmxdistill.engine.hooks.transfer_statistics import TransferStatistics
from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.models.detectors.transfer_grids import valid_cells
from mmxdistill.models.detectors.transfer_wiring import teacher_of
from mmxdistill.models.features.dry_run import generators_kept
from mmxdistill.registry import HOOKS

__all__ = ['TransferVisualizationHook', 'draw_maps']

_HEIGHT = 128  # of a tile in pixels
_TITLE = 18


@HOOKS.register_module()
class TransferVisualizationHook(Hook):
    """Hand numbers and pictures of a transfer to the visualizer.

    Whatever backends it has (local files, TensorBoard, W&B) get, every
    ``interval`` iterations, of the batch of that iteration and all processes,
    ``transfer_train/<number>_<point>``, see :class:`TransferStatistics`. They
    come from the features that the iteration computes anyway.

    Every ``image_interval`` iterations, and before the first one, they get
    ``maps_<point>_<pair>`` for a few fixed pairs: the images of the teacher
    and of the student, and below each other, in one scale, the means over the
    channels and the maps of the channels in which the teacher varies most. The
    pairs are evenly spaced over the data set of the validation, without one
    over that of the training; the main process runs the networks on them.

    No iteration depends on whether the hook is there: no random number is
    drawn and no state of the networks changes.

    Args:
        interval (int): Iterations between numbers. Defaults to 50.
        image_interval (int): Iterations between pictures; 0 for none.
            Defaults to 500.
        num_pairs (int): Pairs that are drawn. Defaults to 2.
        num_channels (int): Channels that are drawn. Defaults to 4.

    Raises:
        ValueError: A number is negative, or ``interval`` is 0.
    """

    # After the calibration, without which there is nothing to compare.
    priority = 'LOW'

    def __init__(
        self,
        interval: int = 50,
        image_interval: int = 500,
        num_pairs: int = 2,
        num_channels: int = 4,
    ) -> None:
        if interval < 1 or min(image_interval, num_pairs, num_channels) < 0:
            raise ValueError(
                f'interval={interval} must be at least 1, image_interval='
                f'{image_interval}, num_pairs={num_pairs} and num_channels='
                f'{num_channels} at least 0'
            )
        self.interval = interval
        self.image_interval = image_interval
        self.num_pairs = num_pairs
        self.num_channels = num_channels
        self._pairs: list[dict[str, Any]] = []
        self._statistics: list[TransferStatistics] = []

    def before_train(self, runner: Runner) -> None:
        """Load the fixed pairs and draw them.

        Args:
            runner (Runner): The runner.

        Raises:
            TypeError: The model is no :class:`SupervisionTransfer`.
        """
        model = _transfer(runner)
        if not (self.image_interval and self.num_pairs and is_main_process()):
            return
        if not any(point.spatial for point in model.points):
            runner.logger.info('no transfer point has maps to draw')
            return
        loop = runner.val_loop or runner.train_loop
        dataset = loop.dataloader.dataset
        count = min(self.num_pairs, len(dataset))
        indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
        collate = FUNCTIONS.get('pseudo_collate')
        with generators_kept():
            self._pairs = [collate([dataset[i]]) for i in indices.tolist()]
        if runner.iter == 0:
            self._draw(runner, 0)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Ask for the features, if it is time.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Not used.
            data_batch (Any): Not used.
        """
        self._statistics.clear()
        due = self.every_n_train_iters(runner, self.interval)
        _transfer(runner).watcher = self._watch if due else None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Hand over numbers and pictures, if it is time.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Not used.
            data_batch (Any): Not used.
            outputs (dict, optional): Not used.
        """
        model = _transfer(runner)
        model.watcher = None
        step = runner.iter + 1
        if self._statistics:
            tags = {
                f'transfer_train/{name}_{point.name}': value
                for point, statistics in zip(
                    model.points, self._statistics, strict=True
                )
                for name, value in statistics.reduce().items()
            }
            self._statistics.clear()
            runner.visualizer.add_scalars(tags, step)
        if self._pairs and self.every_n_train_iters(
            runner, self.image_interval
        ):
            self._draw(runner, step)

    @torch.no_grad()
    def _watch(
        self,
        pairs: Sequence[tuple[Tensor, Tensor]],
        compared: Sequence[tuple[Tensor, Tensor, Tensor | None]],
        inputs: Tensor,
        samples: SampleList | None,
    ) -> None:
        self._statistics = []
        for (student, _), (adapted, teacher, valid) in zip(
            pairs, compared, strict=True
        ):
            seen = None
            if student.dim() == 4:
                grid = student.shape[2:]
                seen = valid_cells(samples, inputs, grid, grid)
            self._statistics.append(
                TransferStatistics(student, adapted, teacher, seen, valid)
            )

    @torch.no_grad()
    def _draw(self, runner: Runner, step: int) -> None:
        """Draw the fixed pairs."""
        model = _transfer(runner)
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        with generators_kept():
            for number, pair in enumerate(self._pairs):
                data = model.data_preprocessor(pair, False)
                inputs, samples = data['inputs'], data['data_samples']
                shown = _displayed(model.data_preprocessor, inputs)
                h, w = samples[0].get('img_shape', inputs.shape[2:])[:2]
                for point, (adapted, teacher, valid) in zip(
                    model.points, model.compare(inputs, samples), strict=True
                ):
                    if not point.spatial:
                        continue
                    role, _ = teacher_of(point, model.teachers)
                    pictures = [
                        _picture(model.part(name, shown)[0, :, :h, :w])
                        for name in (role, 'student')
                    ]
                    maps = [
                        _crop(feature[0], valid)
                        for feature in (teacher, adapted)
                    ]
                    runner.visualizer.add_image(
                        f'maps_{point.name}_{number}',
                        draw_maps(pictures, maps, self.num_channels),
                        step,
                    )
        for module, training in modes:
            module.training = training


def _transfer(runner: Runner) -> SupervisionTransfer:
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    if not isinstance(model, SupervisionTransfer):
        raise TypeError(
            'TransferVisualizationHook is for SupervisionTransfer, the model '
            f'is a {type(model).__name__}: remove the hook'
        )
    return model


def _displayed(preprocessor: Any, inputs: Tensor) -> Tensor:
    """Images as before the normalisation, three channels as RGB."""
    images = (inputs * preprocessor.std + preprocessor.mean).cpu()
    order = preprocessor.order or range(images.shape[1])
    for channels in preprocessor.slices.values():
        is_bgr = order[channels.start] == channels.start
        if channels.stop - channels.start == 3 and is_bgr:
            images[:, channels] = images[:, channels].flip(1)
    return images


def _picture(image: Tensor) -> np.ndarray:
    """The first modality of a network's input: uint8 (H, W, 3), RGB."""
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    low, high = float(shown.min()), float(shown.max())
    if low < -0.5 or high > 255.5:
        shown = (shown - low) * (255 / max(high - low, 1e-12))
    return shown.clamp(0, 255).round().byte().permute(1, 2, 0).numpy()


def _crop(feature: Tensor, valid: Tensor | None) -> np.ndarray:
    """A feature (C, h, w) without its padding."""
    if valid is not None:
        rows, columns = valid[0, 0].any(1), valid[0, 0].any(0)
        feature = feature[:, : int(rows.sum()), : int(columns.sum())]
    return feature.float().cpu().numpy()


def draw_maps(
    pictures: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    num_channels: int,
) -> np.ndarray:
    """Draw the features of teacher and student below each other.

    Args:
        pictures (Sequence[np.ndarray]): What the teacher and the student
            see, uint8 (H, W, 3), RGB.
        maps (Sequence[np.ndarray]): Feature of the teacher and of the
            student, (C, h, w).
        num_channels (int): Channels that are drawn: those in which the
            teacher's feature varies most.

    Returns:
        np.ndarray: uint8 (height, width, 3), RGB. Two maps below each other
        have one scale of colours.
    """
    height, width = pictures[0].shape[:2]
    size = max(round(_HEIGHT * width / height), 1), _HEIGHT
    best = np.argsort(-maps[0].var(axis=(1, 2)), kind='stable')
    columns = [('mean', [feature.mean(axis=0) for feature in maps])]
    columns += [
        (f'channel {channel}', [feature[channel] for feature in maps])
        for channel in best[:num_channels].tolist()
    ]
    rows: list[list[np.ndarray]] = [
        [_tile(picture, title, size)]
        for picture, title in zip(
            pictures, ('teacher', 'student'), strict=True
        )
    ]
    for title, pair in columns:
        low = min(float(one.min()) for one in pair)
        high = max(float(one.max()) for one in pair)
        for row, one in zip(rows, pair, strict=True):
            levels = (one - low) * (255 / max(high - low, 1e-12))
            colours = cv2.applyColorMap(
                levels.round().astype(np.uint8), cv2.COLORMAP_VIRIDIS
            )
            row.append(_tile(colours[..., ::-1], title, size, smooth=False))
    return np.vstack([np.hstack(row) for row in rows])


def _tile(
    image: np.ndarray,
    title: str,
    size: tuple[int, int],
    smooth: bool = True,
) -> np.ndarray:
    """An image with its title above."""
    kind = cv2.INTER_AREA if smooth else cv2.INTER_NEAREST
    image = cv2.resize(np.ascontiguousarray(image), size, interpolation=kind)
    bar = np.zeros((_TITLE, size[0], 3), np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(
        bar, title, (3, 13), font, 0.4, (255, 255, 255), 1, cv2.LINE_AA
    )
    tile = np.vstack([bar, image])
    return cv2.copyMakeBorder(tile, 0, 2, 0, 2, cv2.BORDER_CONSTANT)
