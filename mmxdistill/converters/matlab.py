"""Reading of MATLAB files, with errors that say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scipy.io import loadmat

__all__ = ['read_mat']


def read_mat(path: Path, *names: str, simplify: bool = True) -> list[Any]:
    """Read variables of a MATLAB file up to version 7.

    Args:
        path (Path): The file.
        *names (str): The variables.
        simplify (bool): Structs become dicts, and arrays lose their axes of
            length 1; else structs and cells stay object arrays. Defaults to
            True.

    Returns:
        list: Their values, in this order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such file, damaged, or lacks a variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    try:
        content = loadmat(str(path), simplify_cells=simplify)
    # SciPy raises almost anything on damaged files, depending on the place.
    except Exception as error:
        raise ValueError(
            f"'{path}' is damaged or no MATLAB file of version 5 to 7 "
            f'({type(error).__name__}: {error})'
        ) from error
    found = sorted(key for key in content if not key.startswith('__'))
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(
            f"'{path}' has no variable {', '.join(missing)}, only "
            f'{found[:8]}: is it another file?'
        )
    return [content[name] for name in names]
