"""Lists and annotation files that converters write last."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmxdistill.atomic import atomic_write

LEFT_OUT = 'left_out.txt'
_SHOWN = 10


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an annotation file."""
    with atomic_write(path) as file:
        file.write(json.dumps(content).encode())
    print(
        f'{path}: {len(content["images"])} images, '
        f'{len(content["annotations"])} objects'
    )


def report_left_out(out: Path, parts: Mapping[str, Sequence[str]]) -> None:
    """Write all that was left out to a file, and print how much it is.

    Args:
        out (Path): Output folder.
        parts (Mapping[str, Sequence[str]]): What -> a message for each.
    """
    lines = []
    for what, texts in parts.items():
        lines += [f'{len(texts)} {what}', *(f'  {text}' for text in texts)]
        print(f'{len(texts)} {what}')
        for text in texts[:_SHOWN]:
            print(f'  {text}')
    with atomic_write(out / LEFT_OUT) as file:
        file.writelines(f'{line}\n'.encode() for line in lines)
    print(f'{out / LEFT_OUT}: all of these')
