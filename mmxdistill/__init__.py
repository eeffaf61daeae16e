"""Supervision transfer across image modalities for MMDetection 3.x."""

from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from mmxdistill.compat import require_stack
from mmxdistill.version import __version__

__all__ = ['__version__', 'config_path']

require_stack()


def config_path(name: str) -> str:
    """Find a config of an installed package, in a checkout or a wheel.

    A config elsewhere inherits it by
    ``_base_ = [__import__('mmxdistill').config_path('_base_/...')]``.

    Args:
        name (str): Path below ``configs/`` of this package, for example
            ``'_base_/default_runtime.py'``; or of another one, as mmengine
            names it: ``'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'``.

    Returns:
        str: The absolute path of the file.

    Raises:
        FileNotFoundError: If there is no such config; names close ones. Or no
            such package.
    """
    package, _, name = name.rpartition('::')
    root = _configs(package or 'mmxdistill')
    path = root / name
    if path.suffix != '.py':  # 'paa_r50_fpn_1.5x_coco' has one as well
        path = path.with_name(f'{path.name}.py')
    if path.is_file():
        return str(path)
    known = [p.relative_to(root).as_posix() for p in root.rglob('*.py')]
    # A known file name in the wrong folder is the closest of all.
    close = sorted(k for k in known if Path(k).name == path.name)
    close += get_close_matches(name, set(known) - set(close), 5, 0.5)
    if close:
        hint = f'Close names: {", ".join(close[:5])}.'
    elif known:
        folders = sorted({Path(k).parent.as_posix() for k in known})
        hint = f'Its folders: {", ".join(folders)}.'
    else:
        hint = f'It holds no config: install {package or "mmxdistill"} again.'
    raise FileNotFoundError(f'No config {name!r} in {root}. {hint}')


def _configs(package: str) -> Path:
    """The folder of a package's configs."""
    folder = Path(__file__).resolve().parent
    if package != 'mmxdistill':
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(
                f"'{package}::...' names a config of the package '{package}', "
                'which is not installed'
            )
        folder = Path(spec.submodule_search_locations[0]).resolve()
    root = folder / '.mim' / 'configs'  # of a wheel, where mim looks too
    return root if root.is_dir() else folder.parent / 'configs'
