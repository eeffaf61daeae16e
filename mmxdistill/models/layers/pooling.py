"""Max pooling with the numbers of Caffe's Pooling layer."""

from torch import nn

from mmxdistill.registry import MODELS

__all__ = ['CaffeMaxPool']


@MODELS.register_module()
class CaffeMaxPool(nn.MaxPool2d):
    """Caffe's Pooling layer, method MAX.

    The output size rounds *up*: ``ceil((n + 2 * padding - kernel_size) /
    stride) + 1``, one less if the last window would start in the padding
    beyond the input. Of equal maxima the first in row-major order gets the
    whole gradient. PyTorch agrees with ``ceil_mode=True``, except where Caffe
    pools windows of no cell at all (no padding, a stride beyond the kernel);
    such settings are refused.

    Args:
        kernel_size (int): Side of a window.
        stride (int): Step between windows, at most ``kernel_size``.
        padding (int): Cells added on each side, at most half of
            ``kernel_size``.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self, kernel_size: int, stride: int, padding: int = 0
    ) -> None:
        whole = all(
            isinstance(value, int) for value in (kernel_size, stride, padding)
        )
        if not (
            whole
            and 1 <= stride <= kernel_size
            and 0 <= padding <= kernel_size // 2
        ):
            raise ValueError(
                f'CaffeMaxPool: kernel_size={kernel_size!r}, '
                f'stride={stride!r}, padding={padding!r}, expected integers '
                'with 1 <= stride <= kernel_size and '
                '0 <= padding <= kernel_size // 2'
            )
        super().__init__(kernel_size, stride, padding, ceil_mode=True)
