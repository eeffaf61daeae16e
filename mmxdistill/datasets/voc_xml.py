"""Annotations in VOC XML, which mmdet reads."""

from __future__ import annotations

import functools
from typing import Any

from mmdet.datasets import XMLDataset

from mmxdistill.parallel import describe_error

__all__ = ['name_files_in_errors']


def name_files_in_errors() -> None:
    """Let mmdet's ``XMLDataset`` say which file it could not read.

    Of a file among thousands that is damaged or lacks an element it tells
    what Python could not do (``'NoneType' object has no attribute 'text'``).
    The class is changed in place, so that those who inherit from it or build
    it by a config of mmdet are served, too.
    """
    parse = XMLDataset.parse_data_info
    if hasattr(parse, 'without_name'):
        return

    @functools.wraps(parse)
    def naming(self: Any, img_info: dict) -> Any:
        try:
            return parse(self, img_info)
        except FileNotFoundError:
            raise
        except Exception as error:  # it is not checked what a file holds
            raise ValueError(
                f"'{img_info['xml_path']}' cannot be read as VOC XML, whose "
                'objects have a name and a bndbox of xmin, ymin, xmax and '
                f'ymax: {describe_error(error)}'
            ) from error

    naming.without_name = parse  # type: ignore[attr-defined]
    XMLDataset.parse_data_info = naming


name_files_in_errors()
