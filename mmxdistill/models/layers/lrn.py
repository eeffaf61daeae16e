"""Local response normalisation with the numbers of Caffe's LRN layer.

Shapes: N images, C channels, maps of H x W cells.
"""

import torch
from torch import Tensor, nn

from mmxdistill.registry import MODELS

__all__ = ['CaffeLRN']


@MODELS.register_module()
class CaffeLRN(nn.LocalResponseNorm):
    """Caffe's LRN layer across channels.

    ``y = x * (k + alpha / local_size * s)^-beta``, where s is the sum of
    squares of the ``local_size`` channels around each one, with zeros beyond
    the first and the last. The defaults are those of CaffeNet's norm1, norm2.

    Computed in float32 also under autocast: activations of several hundred
    are normal with images of 0 to 255, and their squares overflow float16.

    Args:
        local_size (int): Number of channels of a window, odd.
        alpha (float): Factor of the mean square, at least 0.
        beta (float): Exponent.
        k (float): Constant, positive.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        local_size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
    ) -> None:
        # An even window has no centre: PyTorch would shift it, Caffe refuses.
        odd = isinstance(local_size, int) and local_size % 2 == 1
        if not odd or local_size < 1:
            raise ValueError(
                f'CaffeLRN: local_size={local_size!r}, expected an odd number'
            )
        if not (alpha >= 0 and k > 0):
            raise ValueError(
                f'CaffeLRN: alpha={alpha!r}, k={k!r}, expected alpha >= 0 and '
                'k > 0 (else some activations give NaN)'
            )
        super().__init__(local_size, alpha, beta, k)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise activations.

        Args:
            x (Tensor): Activations, (N, C, H, W).

        Returns:
            Tensor: Tensor of the shape and type of ``x``.
        """
        dtype = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(dtype)).to(x.dtype)
