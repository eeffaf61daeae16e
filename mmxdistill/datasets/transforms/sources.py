"""What the image of a modality is made of, beside its own file.

A transform that takes more than the image from a sample says so by ``reads``,
a tuple of keys: ``'camera'``, ``'reference_path'``, ``'modality_paths.raw'``
(the file of the entry ``raw``) or ``'modality_paths'`` (those of all entries).
Transforms of others that do not say are taken to read all files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmxdistill.datasets.transforms.reduced_jpeg import JpegFile

__all__ = ['Sources']

_PATHS = 'modality_paths'
_REFERENCE = 'reference_path'
_PACKAGES = ('mmcv', 'mmdet', 'mmxdistill')


class Sources:
    """Tells what images are made of.

    Args:
        pipelines (Mapping[str, Compose]): Of the modalities; the others are
            registered onto the first one.
    """

    def __init__(self, pipelines: Mapping[str, Any]) -> None:
        self.reads = {
            name: tuple(dict.fromkeys(_reads(pipeline.transforms)))
            for name, pipeline in pipelines.items()
        }
        self.reference = next(iter(pipelines))

    def of(
        self, images: Mapping[str, Any], results: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """Tell on what else than their own file images depend.

        Args:
            images (Mapping[str, np.ndarray | JpegFile]): Of each modality.
            results (Mapping): Sample with their stack.

        Returns:
            dict[str, dict[str, Any]]: Modality -> ``files`` (key -> path) and
            ``values`` (key -> value) that were taken from the sample,
            ``reduced_jpeg`` if the file is to be decoded as small as it may
            be, ``dtype`` of the stack if it is not that of the image (later
            transforms round 8 bits). Modalities without any are left out.
        """
        found = {
            name: self._of_one(name, image, results)
            for name, image in images.items()
        }
        return {name: one for name, one in found.items() if one}

    def _of_one(
        self, name: str, image: Any, results: Mapping[str, Any]
    ) -> dict[str, Any]:
        paths: Mapping[str, str] = results[_PATHS]
        files: dict[str, str | None] = {}
        values: dict[str, Any] = {}
        if name == self.reference and paths[name] != results.get('img_path'):
            files['img_path'] = paths[name]
        for key in self.reads[name]:
            if key == _PATHS:
                files |= {f'{_PATHS}.{other}': paths[other] for other in paths}
            elif key == _REFERENCE:
                files[key] = paths.get(self.reference)
            elif key.startswith(f'{_PATHS}.'):
                files[key] = paths.get(key.partition('.')[2])
            else:
                values[key] = results.get(key)
        found: dict[str, Any] = dict(files=files, values=values)
        if isinstance(image, JpegFile):
            found['reduced_jpeg'] = True
        elif image.dtype != results['img'].dtype:
            found['dtype'] = str(results['img'].dtype)
        return {key: value for key, value in found.items() if value}


def _reads(steps: Sequence[Any]) -> Iterator[str]:
    """Keys that transforms take from a sample, beside the image."""
    for step in steps:
        inner = getattr(step, 'transforms', None)
        if inner is not None:
            yield from _reads(getattr(inner, 'transforms', inner))
            continue
        package = type(step).__module__.partition('.')[0]
        yield from getattr(
            step, 'reads', () if package in _PACKAGES else (_PATHS,)
        )
