"""Features of the teachers that are computed once per image."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import SampleList
from torch import Tensor

from mmxdistill.datasets.plain import as_plain
from mmxdistill.datasets.shards import on_disk
from mmxdistill.models.detectors.cache_origin import (
    claim,
    describe_teachers,
)
from mmxdistill.models.detectors.image_guard import ImageGuard
from mmxdistill.models.features.records import (
    DTYPES,
    decode,
    encode,
    pack,
    unpack,
)
from mmxdistill.shards import ShardStore

__all__ = ['Taught', 'TeacherCache', 'build_cache']

Taught = dict[str, dict[str, Tensor]]  # role -> name -> feature of a batch

# Beside the files, what makes an image; see mmxdistill.datasets.repeatable.
_FACTS = ('ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
_SETTINGS = ('path', 'dtype', 'max_gb', 'stale')
_STALE = ('error', 'replace')
_NOTE = 'note'  # of the image, in a record


class TeacherCache:
    """Features of the teachers, in a folder.

    They are stored per image: its files (path, size, time), all that its
    modality's pipeline takes from the sample (see
    :mod:`mmxdistill.datasets.transforms.sources`), how it was mirrored and
    resized, and how far its batch was padded, on which the cells at the
    border depend. What other weights, another normalisation or
    another way of loading give belongs into another folder.

    Some pixels of each image are stored too, and compared whenever its
    features are used.

    Args:
        path (str): Folder; made if it is missing. Several runs may use it at
            a time.
        modalities (Mapping[str, Sequence[str]]): Role of a teacher -> what it
            reads.
        slices (Mapping[str, slice]): Channels of each modality, in the order
            of the batch. ``img_path`` of a sample is that of the first.
        dtype (str): 'float16', 'bfloat16' (for values above 65504) or 'int8'
            (half the size; 255 steps per channel and image). Defaults to
            'float16'.
        max_gb (float, optional): Limit of the folder in 10^9 bytes; see
            :class:`ShardStore`. Defaults to None.
        stale (str): What to do with a folder that belongs to other weights or
            settings: 'error', or 'replace' to empty it. Defaults to 'error'.

    Attributes:
        seen (int): Number of images that were asked for.
        found (int): How many of them were in the folder.
        last_found (int): How many of the last batch.
        record_bytes (int): Size of the largest record that was added.

    Raises:
        ValueError: An argument is not one of these.
    """

    def __init__(
        self,
        path: str,
        modalities: Mapping[str, Sequence[str]],
        slices: Mapping[str, slice],
        dtype: str = 'float16',
        max_gb: float | None = None,
        stale: str = 'error',
    ) -> None:
        for name, value, known in (
            ('dtype', dtype, tuple(DTYPES)),
            ('stale', stale, _STALE),
        ):
            if value not in known:
                raise ValueError(
                    f'teacher_cache: {name} must be one of {known}, not '
                    f'{value!r}'
                )
        if max_gb is not None and not max_gb > 0:
            raise ValueError(
                f'teacher_cache: max_gb must be positive, not {max_gb!r}'
            )
        self.path = Path(path)
        self.modalities = modalities
        self.dtype = dtype
        self.stale = stale
        self.max_bytes = None if max_gb is None else int(max_gb * 1e9)
        self.seen = self.found = self.last_found = 0
        self.record_bytes = 0
        self._first = next(iter(slices))
        self._guard = ImageGuard([slices[name] for name in self.reads])
        self._store: ShardStore | None = None
        self._origin = b''

    def __deepcopy__(self, memo: dict[int, Any]) -> TeacherCache:
        """Copies of a model share the folder."""
        return self

    @property
    def reads(self) -> list[str]:
        """Modalities that a teacher reads."""
        return list(dict.fromkeys(chain(*self.modalities.values())))

    @property
    def store(self) -> ShardStore:
        """The records of the folder.

        Raises:
            RuntimeError: It was not opened.
        """
        if self._store is None:
            raise RuntimeError(
                'teacher_cache is not open, as nobody has checked that the '
                "images come again: add dict(type='mmxdistill."
                "TeacherCacheHook') to custom_hooks"
            )
        return self._store

    def open(self, model: Any, loading: Sequence[Any]) -> None:
        """Open the folder, or begin it.

        Args:
            model (SupervisionTransfer): The teachers and the preprocessing.
            loading (Sequence): How images are loaded; see
                :func:`mmxdistill.datasets.repeatable.describe_loading`.

        Raises:
            ValueError: The folder has features of something else, or the
                data preprocessor gives an image other values each time.
        """
        made_with = describe_teachers(model, self.modalities, loading)
        made_with['dtype'] = self.dtype
        self._origin = claim(self.path, made_with, self.stale == 'replace')
        self._store = ShardStore(self.path, self.max_bytes)

    def flush(self) -> None:
        """Write what is in memory only.

        Raises:
            ValueError: An image of the last batch is not the one that was
                stored.
        """
        if self._store is not None:
            self._store.flush()
        self._guard.read()

    def key(self, sample: Any, shape: Sequence[int]) -> bytes:
        """Tell an image from all others.

        Args:
            sample (DetDataSample): With the meta-information of
                ``PackDetInputs``.
            shape (Sequence[int]): Height and width of its batch.

        Returns:
            bytes: 16 bytes.

        Raises:
            ValueError: The sample does not tell a file.
        """
        facts = [
            [self._facts_of(sample, name) for name in self.reads],
            # A pipeline that never mirrors tells no flip.
            [as_plain(sample.get(name)) for name in _FACTS],
            list(shape),
        ]
        # Features of something else are never found, whoever wrote them.
        return hashlib.blake2b(
            json.dumps(facts).encode(), digest_size=16, key=self._origin
        ).digest()

    def _facts_of(self, sample: Any, modality: str) -> list[Any]:
        """What the image of a modality was made of."""
        sources = dict(sample.get('modality_sources', {}).get(modality, {}))
        files = sources.pop('files', {})
        return [
            _file_facts(self._path_of(sample, modality)),
            {key: _file_facts(path) for key, path in files.items()},
            as_plain(sources),
        ]

    def _path_of(self, sample: Any, modality: str) -> str | None:
        paths = sample.get('modality_paths')
        if paths is not None:
            path: str | None = paths.get(modality)  # None: it is missing
            return path
        if modality != self._first or 'img_path' not in sample:
            raise ValueError(
                f'teacher_cache: a sample does not tell the file of '
                f"'{modality}': add 'modality_paths' to meta_keys of "
                'PackDetInputs'
            )
        return str(sample.img_path)

    def features(
        self,
        compute: Callable[[Tensor, SampleList], Taught],
        inputs: Tensor,
        samples: SampleList,
    ) -> Taught:
        """Look features up, and compute and keep those that are missing.

        Args:
            compute (Callable): Computes the features of (inputs, samples).
            inputs (Tensor): (N, sum of channels, H, W).
            samples (list[DetDataSample]): N samples.

        Returns:
            dict[str, dict[str, Tensor]]: Role -> name -> (N, C, h, w),
            float32; rounded as they are stored, whether they were there or
            not.

        Raises:
            ValueError: A feature does not fit ``dtype``, or an image is not
                the one that was stored.
        """
        store = self.store
        self._guard.read()
        keys = [self.key(sample, inputs.shape[-2:]) for sample in samples]
        records = [store.get(key) for key in keys]
        rows = [{} if r is None else unpack(r) for r in records]
        known = [i for i, row in enumerate(rows) if row]
        missing = [i for i, row in enumerate(rows) if not row]
        self.seen += len(rows)
        self.found += len(known)
        self.last_found = len(known)
        notes = self._guard.note(inputs, samples)
        if known:
            self._guard.compare(
                notes[known],
                torch.stack([rows[i][_NOTE] for i in known]),
                [str(samples[i].get('img_path')) for i in known],
            )
        if missing:
            part = inputs if not known else inputs[missing]
            # As precise in mixed precision as without.
            with torch.autocast(inputs.device.type, enabled=False):
                taught = compute(part, [samples[i] for i in missing])
            for place, i in enumerate(missing):
                rows[i] = self._encode(taught, place)
                rows[i][_NOTE] = notes[i].cpu()
                record = pack(rows[i])
                store.put(keys[i], record)
                self.record_bytes = max(self.record_bytes, len(record))
        return _batch(rows, inputs.device)

    def _encode(self, taught: Taught, place: int) -> dict[str, Tensor]:
        """Parts of all features of one image."""
        return {
            json.dumps([role, name, part]): value
            for role, features in taught.items()
            for name, feature in features.items()
            for part, value in encode(feature[place], self.dtype, name).items()
        }


def _batch(
    rows: Sequence[Mapping[str, Tensor]], device: torch.device
) -> Taught:
    """Restore the features and put the images side by side."""
    parts: dict[tuple[str, str], dict[str, str]] = {}
    for key in rows[0]:
        if key != _NOTE:
            role, name, part = json.loads(key)
            parts.setdefault((role, name), {})[part] = key
    batch: Taught = {}
    for (role, name), keys in parts.items():
        features = [
            decode({part: row[key].to(device) for part, key in keys.items()})
            for row in rows
        ]
        batch.setdefault(role, {})[name] = torch.stack(features)
    return batch


def build_cache(
    model: Any, settings: Mapping, modalities: Mapping[str, Any]
) -> TeacherCache:
    """Build the cache of a transfer, still closed.

    Args:
        model (SupervisionTransfer): The transfer; its features are known.
        settings (Mapping): ``teacher_cache`` of the config.
        modalities (Mapping[str, str | Sequence[str]]): Role -> what it reads.

    Returns:
        TeacherCache: The cache.

    Raises:
        ValueError: A setting is wrong, or a feature is another one each time.
    """
    if 'path' not in settings or not set(settings) <= set(_SETTINGS):
        raise ValueError(
            'teacher_cache must be dict(path=...) with any of '
            f'{_SETTINGS[1:]}, found {dict(settings)}'
        )
    for role, extractor in model.teacher_features.items():
        for name, info in extractor.infos.items():
            if info.layout.per_roi:
                raise ValueError(
                    f"teacher_cache: the {role}'s feature '{name}' is "
                    'computed on proposals that are drawn anew each time: '
                    'train without teacher_cache'
                )
    reads = {role: modalities[role] for role in model.teacher_features}
    return TeacherCache(
        **settings,
        modalities={
            role: [names] if isinstance(names, str) else list(names)
            for role, names in reads.items()
        },
        slices=model.data_preprocessor.slices,
    )


def _file_facts(path: str | None) -> list[Any]:
    """Path, size and time of the last change; of no file the path alone."""
    if path is None:
        return [None]
    try:
        info = os.stat(on_disk(path))
    except OSError:
        return [path]
    return [path, info.st_size, info.st_mtime_ns]
