"""Data set of pairs in tar shards."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

from mmxdistill.datasets.paired import PairedDataset
from mmxdistill.datasets.shards import ShardIndex
from mmxdistill.registry import DATASETS

__all__ = ['ShardedPairedDataset']


@DATASETS.register_module()
class ShardedPairedDataset(PairedDataset):
    """Unlabelled pairs out of tar shards (WebDataset's format).

    For more files than a file system likes. Samples are found through an
    index, so samplers, resuming and checks are those of single files; what
    is in memory does not grow with their number.

    Args:
        shards (str): Folder of ``tools/dataset_converters/pack_shards.py``,
            relative to ``data_root``.
        modalities (dict[str, dict]): Modality -> ``dict(pipeline=[...])``,
            see :class:`PairedDataset`; an empty dict if it is only asked for
            by another one (``mask`` of :class:`LoadDepthFromFile`).
        **kwargs: Of :class:`PairedDataset`, but ``ann_file`` and
            ``proposal_file``.

    Raises:
        FileNotFoundError: The folder has no index.
        ValueError: The shards lack a modality, are not those of the index,
            or a setting is for single files.
    """

    def __init__(
        self, shards: str, modalities: dict[str, Any], **kwargs: Any
    ) -> None:
        for key in ('ann_file', 'proposal_file'):
            if kwargs.get(key):
                raise ValueError(
                    f'ShardedPairedDataset takes no {key}: its samples are '
                    'those of the shards, which have no proposals'
                )
        specs = {}
        for name, spec in modalities.items():
            if not isinstance(spec, Mapping) or set(spec) - {'pipeline'}:
                raise ValueError(
                    f"modality '{name}' of ShardedPairedDataset is a "
                    f'dict(pipeline=[...]), found {spec!r}: its files are in '
                    'the shards'
                )
            specs[name] = dict(spec, path=name)
        self.shards = osp.join(kwargs.get('data_root') or '', shards)
        kwargs['serialize_data'] = False  # there is nothing to serialize
        super().__init__(modalities=specs, **kwargs)

    def load_data_list(self) -> Any:
        """Open the index; samples are made when they are asked for.

        Returns:
            Sequence[dict]: See :class:`PairedDataset`.
        """
        index = ShardIndex(self.shards)
        lacking = set(self.modality_paths.templates) - set(index.modalities)
        if lacking:
            raise ValueError(
                f"the shards of '{self.shards}' have the modalities "
                f'{list(index.modalities)}, but not {sorted(lacking)}'
            )
        return _Samples(index, list(self.modality_paths.templates), self.use)


class _Samples(ShardIndex):
    """Samples as :class:`PairedDataset` lists them."""

    def __init__(self, index: ShardIndex, names: list[str], use: Any) -> None:
        super().__init__(index.folder)
        self.names, self.use = names, use

    def __reduce__(self) -> tuple[Any, ...]:
        """Processes open it anew."""
        return type(self), (ShardIndex(self.folder), self.names, self.use)

    def __getitem__(self, index: Any) -> Any:
        """A sample, or a list of a slice."""
        if isinstance(index, slice):
            return super().__getitem__(index)
        paths = super().__getitem__(index)
        paths = {name: paths[name] for name in self.names}
        info: dict[str, Any] = dict(
            img_id=index % len(self),
            instances=[],
            img_path=next(iter(paths.values())),
            modality_paths=paths,
        )
        if self.use is not None:
            info['modalities'] = tuple(self.use)
        return info
