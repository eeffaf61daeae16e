"""Data sets of aligned images in several modalities."""

from __future__ import annotations

import glob
import os.path as osp
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdet.datasets import BaseDetDataset, CocoDataset
from mmengine.fileio import load

from mmxdistill.datasets.checks import check_samples
from mmxdistill.datasets.samplers import DrawIndex
from mmxdistill.datasets.transforms.stock import check_data_set
from mmxdistill.registry import DATASETS

__all__ = ['PairedCocoDataset', 'PairedDataset']


class _ModalityPaths:
    """File paths of every modality from one template per modality.

    Args:
        modalities (dict[str, str | dict]): See :class:`PairedDataset`.
        data_root (str): Root of the data set.
    """

    def __init__(self, modalities: dict[str, Any], data_root: str) -> None:
        if not modalities:
            raise ValueError(
                "'modalities' is empty: give one path template per modality, "
                "e.g. modalities=dict(rgb='color/{stem}.jpg', "
                "hha='depth/{stem}.png')"
            )
        self.data_root = data_root or ''
        self.templates: dict[str, str] = {}
        self.records: dict[str, dict[int, dict]] = {}
        for name, spec in modalities.items():
            if isinstance(spec, str):
                self.templates[name] = spec
                continue
            self.templates[name] = spec['path']
            if 'ann_file' not in spec:
                continue
            ann_file = osp.join(self.data_root, spec['ann_file'])
            self.records[name] = {
                record['id']: record for record in load(ann_file)['images']
            }

    def __call__(self, *columns: str, **record: Any) -> dict[str, str]:
        """Paths of one sample.

        Args:
            *columns (str): Columns of a list file: ``{0}``, ``{1}``, ...
            **record: Image record: ``{file_name}``, ``{id}``, ... ``{stem}``
                is the file name without folder and suffix.

        Returns:
            dict[str, str]: Path per modality.

        Raises:
            KeyError: A template asks for a field that the record lacks.
        """
        record.setdefault('file_name', columns[0] if columns else '')
        paths = {}
        for name, template in self.templates.items():
            fields = record
            if name in self.records:
                if record['id'] not in self.records[name]:
                    raise KeyError(
                        f'image id {record["id"]} ({record["file_name"]}) '
                        f"has no record in the ann_file of modality '{name}'"
                    )
                fields = self.records[name][record['id']]
            stem = Path(fields['file_name']).stem
            try:
                path = template.format(*columns, **{'stem': stem, **fields})
            except (KeyError, IndexError) as error:
                raise KeyError(
                    f"the path template '{template}' of modality '{name}' "
                    f'asks for {error}, but the record of '
                    f"'{record['file_name']}' has only "
                    f'{sorted({"stem", *fields})}'
                ) from None
            paths[name] = osp.join(self.data_root, path)
        return paths


class _Paired(BaseDetDataset):
    """What the labelled and the unlabelled data set share."""

    def __init__(
        self,
        modalities: dict[str, Any],
        use: Sequence[str] | None = None,
        check_pairs: bool = True,
        **kwargs: Any,
    ) -> None:
        self.modality_paths = _ModalityPaths(
            modalities, kwargs.get('data_root', '')
        )
        unknown = set(use or ()) - set(modalities)
        if unknown:
            raise ValueError(
                f'use={list(use or ())} names {sorted(unknown)}, but the '
                f"data set's modalities are {list(modalities)}"
            )
        self.use = use
        self.check_pairs = check_pairs
        loaders = {
            name: spec['pipeline']
            for name, spec in modalities.items()
            if not isinstance(spec, str) and 'pipeline' in spec
        }
        if loaders:
            load = dict(type='mmxdistill.LoadModalities', modalities=loaders)
            kwargs['pipeline'] = [load, *kwargs.get('pipeline', [])]
        super().__init__(**kwargs)

    def _paths_info(self, paths: dict[str, str]) -> dict[str, Any]:
        info: dict[str, Any] = dict(
            img_path=next(iter(paths.values())), modality_paths=paths
        )
        if self.use is not None:
            info['modalities'] = tuple(self.use)
        return info

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on a sample, seeded by its draw.

        Args:
            idx (int): Index, seeded if it is a :class:`DrawIndex`.

        Returns:
            Any: Output of the pipeline.
        """
        if isinstance(idx, DrawIndex):
            idx.seed_generators()
        return super().prepare_data(idx)

    def load_proposals(self) -> None:
        """Attach the proposals of ``proposal_file`` to the samples.

        The path is relative to ``data_root`` or to the working directory.

        The file maps ``'<folder>/<file>'`` of the first modality to a dict
        with ``bboxes`` (n, 4), xyxy in pixels, and ``scores`` (n,): the
        format of :class:`mmdet.datasets.transforms.LoadProposals`. It may
        cover more images than this data set.

        Raises:
            KeyError: Images without proposals.
        """
        # Proposals are often made by the user for data that is read-only.
        places = [
            osp.join(self.data_root or '', self.proposal_file),
            self.proposal_file,
        ]
        path = next(filter(osp.isfile, places), None)
        if path is None:
            raise FileNotFoundError(
                f'proposal_file is neither {places[0]} nor {places[1]}; make '
                'it with tools/dataset_converters/generate_proposals.py'
            )
        proposals = load(path)
        missing = []
        for info in self.data_list:
            key = '/'.join(Path(info['img_path']).parts[-2:])
            if key in proposals:
                info['proposals'] = proposals[key]
            else:
                missing.append(key)
        if missing:
            raise KeyError(
                f"proposal_file '{path}' has no proposals for {len(missing)} "
                f'of {len(self.data_list)} images, '
                f'e.g. {missing[:3]}; its keys look like '
                f'{list(proposals)[:2]}. Generate proposals for these images '
                'or correct the file'
            )

    def full_init(self) -> None:
        """Load the annotations and check all pairs once, in parallel."""
        if self._fully_initialized:
            return
        check_data_set(self)
        super().full_init()
        if self.check_pairs:
            check_samples(self)


@DATASETS.register_module()
class PairedDataset(_Paired):
    """Unlabelled pairs (or tuples) of aligned images: transfer needs no more.

    The samples come from ``ann_file``: a list (one sample a line), a COCO
    ``.json`` whose labels are not read, or several such files. Without it,
    they come from the folders: every file that matches a template is a
    sample, and a file whose partner is missing is an error.

    Args:
        modalities (dict[str, str | dict]): Modality -> path template, or
            ``dict(path=..., pipeline=[...], ann_file=...)``.

            - ``path``, relative to ``data_root``: ``'color/{stem}.jpg'``. With
              a list, ``{stem}`` comes from the first column, and ``{0}``,
              ``{1}``, ... are the columns; with a COCO file, any field of the
              image record.
            - ``pipeline``: how to load the modality, see
              :class:`LoadModalities`, which is then put first.
            - ``ann_file``: the modality's own COCO file, if it has one; its
              image records are matched by id.

            The first modality names the samples (proposals, visualisation).
        use (Sequence[str], optional): Modalities that
            :class:`LoadModalities` loads, out of those it can. Defaults to
            all.
        check_pairs (bool): Open all files of all samples when the data set is
            built, so that a bad pair is found before training starts.
            Defaults to True.
        **kwargs: Of :class:`mmdet.datasets.BaseDetDataset` (``data_root``,
            ``ann_file``, ``pipeline``, ``proposal_file``, ``indices``, ...).

    Raises:
        FileNotFoundError: The list file or a partner is missing.
        ValueError: No sample was found.
    """

    def __init__(
        self, ann_file: str | Sequence[str] = '', **kwargs: Any
    ) -> None:
        names = [ann_file] if isinstance(ann_file, str) else ann_file
        root = kwargs.get('data_root') or ''
        self.ann_files = [osp.join(root, name) for name in names if name]
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """List the samples.

        Returns:
            list[dict]: ``img_id``, ``img_path`` (first modality),
            ``modality_paths`` (dict) and an empty ``instances`` per sample.
        """
        if self.ann_files:
            samples = [
                sample
                for path in self.ann_files
                for sample in self._samples_of_file(Path(path))
            ]
            source = f'ann_file {self.ann_files}'
        else:
            samples = self._samples_of_folders()
            source = f'templates {self.modality_paths.templates}'
        if not samples:
            raise ValueError(f'no sample found by the {source}')
        return [
            dict(img_id=index, instances=[], **self._paths_info(paths))
            for index, paths in enumerate(samples)
        ]

    def _samples_of_file(self, path: Path) -> list[dict[str, str]]:
        if not path.is_file():
            raise FileNotFoundError(f"ann_file '{path}' does not exist")
        if path.suffix == '.json':
            records = load(str(path))['images']
            return [self.modality_paths(**record) for record in records]
        lines = path.read_text().splitlines()
        return [
            self.modality_paths(*re.split(r'[,\s]+', line.strip()))
            for line in lines
            if line.strip() and not line.lstrip().startswith('#')
        ]

    def _samples_of_folders(self) -> list[dict[str, str]]:
        stems: dict[str, set[str]] = {}
        for name, template in self.modality_paths.templates.items():
            if '{stem}' not in template:
                raise ValueError(
                    f"without ann_file, the template '{template}' of modality "
                    f"'{name}' must contain {{stem}}"
                )
            head, tail = osp.join(
                self.modality_paths.data_root, template
            ).split('{stem}', 1)
            found = glob.glob(f'{glob.escape(head)}*{glob.escape(tail)}')
            stems[name] = {
                path[len(head) : len(path) - len(tail)] for path in found
            }
        everything = set().union(*stems.values())
        lonely = {
            name: sorted(everything - found)
            for name, found in stems.items()
            if everything - found
        }
        if lonely:
            raise FileNotFoundError(
                'partner images are missing under '
                f"'{self.modality_paths.data_root}': "
                + '; '.join(
                    f"modality '{name}' "
                    f'({self.modality_paths.templates[name]}) lacks '
                    f'{len(names)}, e.g. {names[:3]}'
                    for name, names in lonely.items()
                )
                + '. Add them, or list the complete pairs in an ann_file'
            )
        return [self.modality_paths(stem) for stem in sorted(everything)]


@DATASETS.register_module()
class PairedCocoDataset(_Paired, CocoDataset):
    """COCO-format boxes (and masks) on aligned images in several modalities.

    Args:
        modalities (dict[str, str | dict]): See :class:`PairedDataset`.
        use (Sequence[str], optional): See :class:`PairedDataset`.
        check_pairs (bool): See :class:`PairedDataset`. Defaults to True.
        **kwargs: Of :class:`mmdet.datasets.CocoDataset`.

    Raises:
        ValueError: ``metainfo['classes']`` are not the categories of the
            annotation file, or in another order.
    """

    def __init__(self, **kwargs: Any) -> None:
        # The stock class insists on a prefix of 'img'; the templates hold it.
        kwargs.setdefault('data_prefix', dict(img=''))
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Read the annotation file, as :class:`mmdet.datasets.CocoDataset`.

        Returns:
            list[dict]: Samples, with ``modality_paths``.

        Raises:
            ValueError: ``metainfo['classes']`` does not fit the file.
        """
        if not osp.isfile(self.ann_file):
            raise FileNotFoundError(f"ann_file '{self.ann_file}' is missing")
        known = [c['name'] for c in load(self.ann_file)['categories']]
        classes = list(self.metainfo['classes'])
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise ValueError(
                f'metainfo.classes has {unknown}, which are not categories '
                f"of '{self.ann_file}': {known}"
            )
        # CocoDataset numbers the labels in the order of the file.
        ordered = [name for name in known if name in classes]
        if ordered != classes:
            raise ValueError(
                f'metainfo.classes {classes} must follow the order of the '
                f"categories in '{self.ann_file}': {ordered}"
            )
        return super().load_data_list()

    def parse_data_info(self, raw_data_info: dict) -> dict | list[dict]:
        """Parse one image record and its annotations.

        Args:
            raw_data_info (dict): ``raw_img_info`` and ``raw_ann_info``.

        Returns:
            dict: Sample.
        """
        info = super().parse_data_info(raw_data_info)
        paths = self.modality_paths(**raw_data_info['raw_img_info'])
        info.update(self._paths_info(paths))
        return info
