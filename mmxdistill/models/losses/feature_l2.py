"""L2 loss between features."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmxdistill.registry import MODELS

__all__ = ['FeatureL2Loss']

_NORMALIZATIONS = ('energy', 'batch', 'element')


@MODELS.register_module()
class FeatureL2Loss(BaseModule):
    r"""Half the squared distance of two features (the paper, sec. 3).

    :math:`L = w \cdot \frac{1}{Z} \sum (s - t)^2`, with Z by
    ``normalization``:

    - ``'batch'``: :math:`2 N`, Caffe's EuclideanLoss. The value grows with
      the number of cells and channels (1e4 .. 1e6 for pool5 of an image), and
      weight 1 diverges at usual learning rates.
    - ``'energy'``: :math:`2 N E`, where E is the average over images of half
      the squared norm of the teacher's feature, a constant measured by
      :class:`TransferCalibrationHook`. The loss is the fraction of the
      teacher's energy that is not reproduced: 1 for a student that gives
      zeros, whatever the network and image size.
    - ``'element'``: :math:`2 \cdot` number of elements, half of PyTorch's
      MSE.

    Padding of the images is no part of a feature: its cells are left out.

    Args:
        normalization (str): See above. Defaults to 'energy'.
        loss_weight (float): Weight w. Defaults to 1.

    Raises:
        ValueError: Unknown normalization.
    """

    energy: Tensor

    def __init__(
        self, normalization: str = 'energy', loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if normalization not in _NORMALIZATIONS:
            raise ValueError(
                f"FeatureL2Loss: unknown normalization '{normalization}', "
                f'use one of {_NORMALIZATIONS}'
            )
        self.normalization = normalization
        self.loss_weight = loss_weight
        self._calibrated = False
        if normalization == 'energy':
            self.register_buffer('energy', torch.tensor(0.0))

    @property
    def is_measured(self) -> bool:
        """Whether the normalization comes from the data."""
        return self.normalization == 'energy'

    @property
    def needs_calibration(self) -> bool:
        """Whether the teacher's energy has still to be measured."""
        if self.normalization == 'energy' and not self._calibrated:
            self._calibrated = float(self.energy) > 0
            return not self._calibrated
        return False

    def calibrate(self, energy: float) -> None:
        """Set the average energy of the teacher's feature.

        Args:
            energy (float): Average over images of half the squared norm of
                the feature, after scaling.
        """
        if self.normalization == 'energy':
            self.energy.fill_(energy)

    def forward(
        self, student: Tensor, teacher: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): (N, C, H, W) or (R, C), adapted.
            teacher (Tensor): The same shape, scaled.
            valid (Tensor, optional): (N, 1, H, W) bool: the cells that are no
                padding; outside, both features are zero. None for all.

        Returns:
            Tensor: Scalar, float32.

        Raises:
            RuntimeError: The teacher's energy was never measured.
        """
        if self.needs_calibration:
            raise RuntimeError(
                "FeatureL2Loss(normalization='energy') needs the average "
                "energy of the teacher's feature: add "
                "dict(type='mmxdistill.TransferCalibrationHook') to "
                'custom_hooks'
            )
        error = torch.nn.functional.mse_loss(
            student.float(), teacher.float(), reduction='sum'
        )
        if self.normalization == 'element':
            if valid is not None:  # a tensor, for the device not to wait
                count = valid.sum() * student.shape[1]
                return error * (0.5 * self.loss_weight) / count
            return error * (0.5 * self.loss_weight / max(student.numel(), 1))
        error = error * (0.5 * self.loss_weight / max(student.shape[0], 1))
        if self.normalization == 'energy':
            error = error / self.energy
        return error

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return (
            f'normalization={self.normalization!r}, '
            f'loss_weight={self.loss_weight:g}'
        )
