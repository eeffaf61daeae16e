"""Measures the average feature norms before a transfer starts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.structures import SampleList
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from mmxdistill.datasets.samplers import DrawIndex, seed_draws
from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.models.detectors.transfer_grids import valid_cells
from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.features.dry_run import generators_kept
from mmxdistill.registry import HOOKS

__all__ = ['TransferCalibrationHook']


class _Sums(NamedTuple):
    """Sums over pairs, for one transfer point."""

    rows: float
    cells: float
    teacher_norm: float
    student_cells: float
    student_norm: float
    energy: float


@HOOKS.register_module()
class TransferCalibrationHook(Hook):
    """Set the scaling layers and the scale of the losses from the data.

    Before the first iteration the teacher and the student see ``num_images``
    pairs, evenly spaced over the training set, in batches and by as many
    workers as in training. A pair's random augmentation depends on its index
    alone, so that the result does not depend on the workers, nor on the seed
    of the run but by the student's weights. The average norm of a feature
    cell on both sides, before scaling and adaptation, sets
    :class:`FeatureScale` (if its scale is 'auto'), and the average energy of
    the scaled teacher's feature sets :class:`FeatureL2Loss` (if its
    normalization is 'energy'). Cells of padding do not count.

    Both are buffers of the checkpoint. A run that is resumed goes on with
    them; any other measures anew, whatever a checkpoint that it starts from
    (``load_from``) says about another teacher, scale or data set.

    Args:
        num_images (int): Number of pairs, over all processes. Defaults
            to 100.
    """

    def __init__(self, num_images: int = 100) -> None:
        self.num_images = num_images

    def before_train(self, runner: Runner) -> None:
        """Measure and set.

        Args:
            runner (Runner): The runner.

        Raises:
            TypeError: The model is no :class:`SupervisionTransfer`.
            ValueError: A feature of the teacher, or of the student that sets
                its scale, is zero everywhere or not finite.
        """
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        if not isinstance(model, SupervisionTransfer):
            raise TypeError(
                'TransferCalibrationHook is for SupervisionTransfer, the '
                f'model is a {type(model).__name__}: remove the hook'
            )
        waiting = any(point.needs_calibration for point in model.points)
        if runner.iter > 0 and not waiting:  # resumed
            return
        if not any(point.is_measured for point in model.points):
            return
        sums = self._measure(runner, model)
        all_reduce(sums)
        for point, row in zip(model.points, sums.tolist(), strict=True):
            self._set(runner, point, _Sums(*row))

    @staticmethod
    def _set(runner: Runner, point: TransferPoint, sums: _Sums) -> None:
        images, energy = int(sums.rows), sums.energy
        if not 0 < energy < float('inf'):
            raise ValueError(
                f"the teacher's feature '{point.teacher}' has the energy "
                f'{energy:g} on {images} images, so there is nothing '
                'to learn: check its weights and mean/std'
            )
        teacher = sums.teacher_norm / sums.cells
        student = sums.student_norm / sums.student_cells
        if point.scale.auto:
            if not 0 < student < float('inf'):
                raise ValueError(
                    f"the student's feature '{point.student}' is "
                    f'{student:g} everywhere before training, so the '
                    "teacher's cannot be scaled to its norm: check the "
                    "student's weights, or set scale to a number"
                )
            point.scale.calibrate(teacher, student)
        factor = point.scale.factor.item()
        energy = energy / sums.rows * factor**2
        if hasattr(point.loss, 'calibrate'):
            point.loss.calibrate(energy)
        runner.logger.info(
            f'transfer point {point.name}: average norm of a feature '
            f'cell over {images} images: teacher {teacher:.4g}, '
            f'student {student:.4g}; scale {factor:.4g}, energy {energy:.4g}'
        )

    @torch.no_grad()
    def _measure(self, runner: Runner, model: SupervisionTransfer) -> Tensor:
        """Sums (points, fields of ``_Sums``) over this process's pairs."""
        sums = torch.zeros(
            len(model.points), len(_Sums._fields), dtype=torch.float64
        )
        model.eval()
        with generators_kept():
            for batch in _loader(runner.train_dataloader, self.num_images):
                data = model.data_preprocessor(batch)
                inputs, samples = data['inputs'], data['data_samples']
                pairs = model.raw_features(inputs, samples)
                for row, point, pair in zip(
                    sums, model.points, pairs, strict=True
                ):
                    (student, seen), (teacher, cells) = (
                        _valid(point, feature, inputs, samples)
                        for feature in pair
                    )
                    row.add_(
                        torch.tensor(
                            _Sums(
                                rows=len(teacher),
                                cells=cells,
                                teacher_norm=float(teacher.norm(dim=1).sum()),
                                student_cells=seen,
                                student_norm=float(student.norm(dim=1).sum()),
                                energy=0.5 * float((teacher**2).sum()),
                            ),
                            dtype=torch.float64,
                        )
                    )
        model.train()
        return sums


def _loader(train: Any, count: int) -> DataLoader:
    """Load this process's share of ``count`` evenly spaced samples.

    Args:
        train (DataLoader): Of the training.
        count (int): Number of samples, over all processes.
    """
    dataset = train.dataset
    seed_draws(dataset)
    indices = np.linspace(0, len(dataset) - 1, min(count, len(dataset)))
    draws = [
        DrawIndex(i, int(np.random.SeedSequence(i).generate_state(1)[0]))
        for i in indices.round().astype(int).tolist()
    ]
    # A loader that was given a batch_sampler has no batch_size.
    size = train.batch_size or getattr(train.batch_sampler, 'batch_size', 1)
    return DataLoader(
        dataset,
        batch_size=size,
        sampler=draws[get_rank() :: get_world_size()],
        num_workers=train.num_workers,
        collate_fn=train.collate_fn,
        pin_memory=train.pin_memory,
        worker_init_fn=train.worker_init_fn,
        multiprocessing_context=train.multiprocessing_context,
    )


def _valid(
    point: TransferPoint, feature: Tensor, inputs: Tensor, samples: SampleList
) -> tuple[Tensor, int]:
    """A feature without its padding, in float64, and how many cells it has."""
    feature = feature.double().cpu()
    if point.spatial:
        grid = feature.shape[2:]
        valid = valid_cells(samples, inputs, grid, grid)
        if valid is not None:
            valid = valid.cpu()
            return feature * valid, int(valid.sum())
    return feature, feature.numel() // feature.shape[1]
