"""Supervision transfer across image modalities for MMDetection 3.x."""

from difflib import get_close_matches
from pathlib import Path

from mmxdistill.compat import check_stack, mend_resume
from mmxdistill.version import __version__

__all__ = ['__version__', 'config_path']

check_stack()
mend_resume()


def config_path(name: str) -> str:
    """Find a config of this package, in a checkout or an installed wheel.

    A config elsewhere inherits it by
    ``_base_ = [__import__('mmxdistill').config_path('_base_/...')]``.

    Args:
        name (str): Path below ``configs/``, for example
            ``'_base_/default_runtime.py'``.

    Returns:
        str: The absolute path of the file.

    Raises:
        FileNotFoundError: If there is no such config; names close ones.
    """
    package = Path(__file__).resolve().parent
    root = package / '.mim' / 'configs'  # of a wheel, where mim looks too
    if not root.is_dir():
        root = package.parent / 'configs'
    path = root / name
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
        hint = 'It holds no config at all: install mmxdistill again.'
    raise FileNotFoundError(f'No config {name!r} in {root}. {hint}')
