"""What the two OpenMMLab stacks and PyTorch need to work together.

The import names ``mmengine``, ``mmcv`` and ``mmdet`` come either from the
maintained distributions (``onedl-*``) or from the original ones. This module
is the only place that knows the difference. It imports neither PyTorch nor
any mm* package until a function needs it.
"""

import logging
import sys
import warnings
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

_INSTALL = """\
Install ONE of the two stacks (PyTorch first: mmcv compiles against it):
    pip install torch "setuptools<81" wheel ninja psutil packaging
  maintained:
    MMCV_WITH_OPS=1 pip install --no-build-isolation onedl-mmcv
    pip install onedl-mmdetection
  original:
    MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv==2.1.0
    pip install mmdet==3.3.0"""

# Distributions that install the same files: original and maintained.
_SAME_FILES = (
    ('mmengine', 'onedl-mmengine'),
    ('mmcv', 'onedl-mmcv'),
    ('mmdet', 'onedl-mmdetection'),
)


# Parts of the package that import it; the others, such as the encodings, are
# of use without.
_NEED_STACK = {
    *('apis', 'datasets', 'engine', 'evaluation', 'infer', 'models'),
    *('registry', 'studies', 'visualization'),
}


class _Refusal(MetaPathFinder):
    """Says why a part of the package cannot be imported."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> None:
        """Raise for what needs the stack, find nothing else."""
        package, *parts = name.split('.')
        part = parts[0] if parts else ''
        if package == 'mmxdistill' and part in _NEED_STACK:
            raise ImportError(self.reason, name=name)


def require_stack() -> None:
    """Check the stack; without it, refuse imports of what needs it.

    ``mmxdistill.encodings``, ``caffe`` and ``converters`` can be imported
    either way.
    """
    found = [f for f in sys.meta_path if not isinstance(f, _Refusal)]
    try:
        check_stack()
    except ImportError as error:
        found.insert(0, _Refusal(str(error)))
    sys.meta_path[:] = found


def check_stack() -> None:
    """Check that one complete stack is installed, without importing it.

    Raises:
        ImportError: If PyTorch, mmengine, mmcv, mmcv's compiled operators or
            mmdet is missing. The message holds the install lines.

    Warns:
        UserWarning: If both distributions of a package are installed in
            one folder: the later has overwritten files of the earlier.
    """
    for name in ('torch', 'mmengine', 'mmcv', 'mmdet'):
        folder = _folder(name)
        if name == 'mmcv' and not PathFinder.find_spec(
            'mmcv._ext', [str(folder)]
        ):
            raise ImportError(
                f'The mmcv in {folder} lacks its compiled operators (it is '
                'mmcv-lite, or was built before PyTorch was there). Uninstall '
                f'it. {_INSTALL}'
            )
    for pair in _SAME_FILES:
        # One of them further down the path is hidden, not overwritten.
        site = _folder(pair[0]).parent
        found = {name: _version(name, site) for name in pair}
        if all(found.values()):
            both = ' and '.join(f'{n} {v}' for n, v in found.items())
            warnings.warn(
                f'{both} are both installed, but they overwrite each other. '
                f'Run "pip uninstall {" ".join(pair)}", then install one.',
                stacklevel=2,
            )


def patch_checkpoint_loading() -> None:
    """Make the installed mmengine load, and so resume, its own checkpoints.

    Since PyTorch 2.6 ``torch.load`` refuses everything but tensors by
    default, and mmengine <= 0.10.7 calls it without ``weights_only``: its
    checkpoints hold the log history, so ``--resume`` fails. Later releases
    and the maintained distribution pass the argument and are left alone.
    """
    loader = _folder('mmengine') / 'runner' / 'checkpoint.py'
    if 'weights_only' not in loader.read_text(encoding='utf-8'):
        allow_checkpoint_globals()


def allow_checkpoint_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read mmengine's checkpoints.

    Allows ``HistoryBuffer`` and plain numeric NumPy arrays and scalars, under
    the module names of NumPy 1 and 2. A ``HistoryBuffer`` pickles references
    to its own statistics as ``getattr(HistoryBuffer, 'mean')``; the built-in
    ``getattr`` would undo the protection, so a version that serves only this
    class stands in for it. Does nothing before PyTorch 2.6.
    """
    import numpy as np
    import torch
    from mmengine.logging.history_buffer import HistoryBuffer
    from mmengine.utils import digit_version

    if digit_version(torch.__version__) < digit_version('2.6'):
        return

    def statistic(owner: object, name: str) -> Callable:
        if owner is not HistoryBuffer or name.startswith('_'):
            raise ValueError(f'the checkpoint refers to {owner!r}.{name}')
        return getattr(owner, name)

    # What NumPy itself names when it pickles an array and a scalar.
    multiarray: dict[str, Any] = {
        '_reconstruct': np.empty(0).__reduce__()[0],
        'scalar': np.float64(0).__reduce__()[0],
    }
    codes = np.typecodes['AllInteger'] + np.typecodes['Float'] + '?'
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (statistic, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in codes},
            *[
                (function, f'numpy.{core}.multiarray.{name}')
                for name, function in multiarray.items()
                for core in ('core', '_core')
            ],
        ]
    )


def prepare_cpu_processes(cfg: 'Config') -> None:
    """Let ``--launcher pytorch`` train on the CPU with gloo.

    mmengine's launcher calls ``torch.cuda.set_device`` and hands a GPU index
    to ``DistributedDataParallel``; both fail without a GPU. So the process
    group is opened here, which the runner then keeps, and the model wrapper
    gets no device. With a GPU, or another launcher, nothing is changed.

    Args:
        cfg (Config): The runner's config; ``model_wrapper_cfg`` is modified.
    """
    import torch

    if cfg.launcher != 'pytorch' or torch.cuda.is_available():
        return
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    backend = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('backend')
    if backend not in (None, 'gloo') and torch.distributed.get_rank() == 0:
        logging.getLogger(__name__).warning(
            'No GPU: the processes talk through gloo, not %s.', backend
        )
    wrapper: dict[str, Any] = {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    wrapper.update(cfg.get('model_wrapper_cfg') or {})
    cfg.model_wrapper_cfg = {**wrapper, 'device_ids': None}


def close_processes() -> None:
    """Leave the process group, if any; a run does so last.

    mmengine never does, and a process that ends while another still talks to
    it may be aborted. Nor must gloo be ended by the last reference of a DDP
    model while it still works for it: PyTorch then waits for ever.
    """
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _folder(name: str) -> Path:
    spec = find_spec(name)
    # Any folder of that name on the path has a spec too, but no origin.
    if spec is None or spec.origin is None:
        raise ImportError(
            f'mmxdistill needs {name}, which is not installed. {_INSTALL}'
        )
    return Path(spec.origin).parent


def _version(distribution: str, site: Path) -> str | None:
    """Version of a distribution that is installed in a folder."""
    found = distributions(name=distribution, path=[str(site)])
    return next((each.version for each in found), None)
