"""Measures the average feature norms before a transfer starts."""

from __future__ import annotations

import numpy as np
import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.registry import HOOKS

__all__ = ['TransferCalibrationHook']


@HOOKS.register_module()
class TransferCalibrationHook(Hook):
    """Set the scaling layers and the scale of the losses from the data.

    Before the first iteration the teacher and the student see ``num_images``
    pairs, evenly spaced over the training set. The average norm of a feature
    cell on both sides sets :class:`FeatureScale` (if its scale is None), and
    the average energy of the scaled teacher's feature sets
    :class:`FeatureL2Loss` (if its normalization is 'energy'). Both are
    buffers of the checkpoint: a resumed run does not measure again.

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
        if not any(point.needs_calibration for point in model.points):
            return
        sums = self._measure(runner, model)
        all_reduce(sums)
        for point, row in zip(model.points, sums.tolist(), strict=True):
            images, cells, teacher, student, energy = row
            if not 0 < energy < float('inf'):
                raise ValueError(
                    f"the teacher's feature '{point.teacher}' has the energy "
                    f'{energy:g} on {int(images)} images, so there is nothing '
                    'to learn: check its weights and mean/std'
                )
            teacher, student = teacher / cells, student / cells
            if point.scale.needs_calibration:
                if not (point.scale.target_norm or student > 0):
                    raise ValueError(
                        f"the student's feature '{point.student}' is "
                        f'{student:g} everywhere before training, so the '
                        "teacher's cannot be scaled to its norm: set "
                        'scale=dict(scale=None, target_norm=...)'
                    )
                point.scale.calibrate(teacher, student)
            factor = point.scale.factor.item()
            if getattr(point.loss, 'needs_calibration', False):
                point.loss.calibrate(energy / images * factor**2)
            runner.logger.info(
                f'transfer point {point.name}: average norm of a feature '
                f'cell over {int(images)} images: teacher {teacher:.4g}, '
                f'student {student:.4g}; scale {factor:.4g}, energy '
                f'{energy / images * factor**2:.4g}'
            )

    @torch.no_grad()
    def _measure(
        self, runner: Runner, model: SupervisionTransfer
    ) -> torch.Tensor:
        """Sums of (rows, cells, teacher norm, student norm, energy)."""
        dataset = runner.train_dataloader.dataset
        count = min(self.num_images, len(dataset))
        indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
        collate = FUNCTIONS.get('pseudo_collate')
        sums = torch.zeros(len(model.points), 5, dtype=torch.float64)
        model.eval()
        for index in indices[get_rank() :: get_world_size()].tolist():
            data = model.data_preprocessor(collate([dataset[index]]))
            pairs = model.features(data['inputs'], data['data_samples'])
            for i, (point, (s, t)) in enumerate(
                zip(model.points, pairs, strict=True)
            ):
                t64 = t.double().cpu() / abs(point.scale.factor.item())
                norm = t64.norm(dim=1)
                sums[i] += torch.tensor(
                    [
                        len(t),
                        norm.numel(),
                        norm.sum(),
                        s.double().norm(dim=1).sum(),
                        0.5 * (t64**2).sum(),
                    ]
                )
        model.train()
        return sums
