"""Data sets of aligned images in several modalities."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from mmdet.datasets import BaseDetDataset, CocoDataset

from mmxdistill.datasets.checks import check_samples
from mmxdistill.datasets.coco_categories import check_class_order
from mmxdistill.datasets.coco_file import (
    check_classes,
    read_coco,
    read_records,
)
from mmxdistill.datasets.image_size import read_image_size
from mmxdistill.datasets.modality_boxes import (
    check_boxes_stay,
    choose_boxes,
)
from mmxdistill.datasets.modality_paths import ModalityPaths, name_file
from mmxdistill.datasets.proposal_boxes import ProposalTable
from mmxdistill.datasets.proposal_file import ProposalFile, find_proposal_file
from mmxdistill.datasets.samplers import DrawIndex
from mmxdistill.datasets.transforms.stock_checks import check_data_set
from mmxdistill.registry import DATASETS

__all__ = ['PairedCocoDataset', 'PairedDataset']

# What a modality's settings hold for LoadModalities.
_OF_LOADER = ('pipeline', 'missing_channels')
# Index of a sample in the table of proposals.
_ROW = 'proposals_row'


class _Paired(BaseDetDataset):
    """What the labelled and the unlabelled data set share."""

    seeds_draws = True  # see seed_draws

    def __init__(
        self,
        modalities: dict[str, Any],
        use: Sequence[str] | None = None,
        check_pairs: bool = True,
        trust_pickle: bool = False,
        reduced_jpeg: bool = False,
        **kwargs: Any,
    ) -> None:
        self.modality_paths = ModalityPaths(
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
        self.trust_pickle = trust_pickle
        self._proposals: ProposalTable | None = None
        loaders = {
            name: {k: spec[k] for k in _OF_LOADER if k in spec}
            for name, spec in modalities.items()
            if not isinstance(spec, str) and 'pipeline' in spec
        }
        if loaders:
            load = dict(
                type='mmxdistill.LoadModalities',
                modalities=loaders,
                reduced_jpeg=reduced_jpeg,
            )
            kwargs['pipeline'] = [load, *kwargs.get('pipeline', [])]
        elif reduced_jpeg:
            raise ValueError(
                'reduced_jpeg=True is for modalities with pipelines; where '
                'the pipeline of the data set has LoadModalities, it belongs '
                'to that'
            )
        super().__init__(**kwargs)

    def _paths_of(
        self, record: dict[str, Any], ann_file: str | Path
    ) -> dict[str, str]:
        with name_file(ann_file):
            return self.modality_paths.of_record(record)

    def _paths_info(self, paths: dict[str, str]) -> dict[str, Any]:
        info: dict[str, Any] = dict(
            img_path=next(iter(paths.values())), modality_paths=paths
        )
        if self.use is not None:
            info['modalities'] = tuple(self.use)
        return info

    def load_proposals(self) -> None:
        """Read the proposals of all samples from ``proposal_file``.

        The path is relative to ``data_root`` or to the working directory; see
        :class:`ProposalFile` for what it may hold. It may cover more images
        than this data set, whose images are those of the first modality.

        Raises:
            KeyError: Images without proposals.
            ValueError: Two images would get the same proposals.
        """
        path = find_proposal_file(
            dict(data_root=self.data_root, proposal_file=self.proposal_file)
        )
        if path is None:
            return
        sizes = [
            (info['width'], info['height']) if 'width' in info else None
            for info in self.data_list
        ]
        self._proposals = ProposalFile(path, self.trust_pickle).table(
            [info['img_path'] for info in self.data_list], sizes
        )
        for row, info in enumerate(self.data_list):
            info[_ROW] = row

    def get_record(self, idx: int) -> dict:
        """Get a sample as the lists tell it, without a look at its files.

        Args:
            idx (int): Index of the sample.

        Returns:
            dict: The sample.
        """
        info: dict = super().get_data_info(idx)
        info.pop(_ROW, None)
        return info

    def get_data_info(self, idx: int) -> dict:
        """Get a sample before the pipeline, with its proposals.

        Args:
            idx (int): Index of the sample.

        Returns:
            dict: The sample.
        """
        info: dict = super().get_data_info(idx)
        row = info.pop(_ROW, None)
        if row is not None and self._proposals is not None:
            info['proposals'] = self._proposals[row]
        return info

    def __getitem__(self, idx: int) -> Any:
        """Run the pipeline on a sample, seeded by its draw.

        Args:
            idx (int): Index, seeded if it is a :class:`DrawIndex`.

        Returns:
            Any: Output of the pipeline.
        """
        if isinstance(idx, DrawIndex):
            idx.seed_generators()
        return super().__getitem__(idx)

    def full_init(self) -> None:
        """Load the annotations and check all pairs once, in parallel."""
        if self._fully_initialized:
            return
        check_data_set(self)
        check_classes(self.metainfo.get('classes', ()))
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
              image record. ``{dir}`` is the folder of the file name (of the
              first column), ``{parent}`` the folder above.
            - ``pipeline``: how to load the modality, see
              :class:`LoadModalities`, which is then put first.
            - ``ann_file``: the modality's own COCO file, if it has one; its
              image records are matched by id.
            - ``missing_channels``: samples may lack the modality's file, see
              :class:`LoadModalities`.

            The first modality names the samples (proposals, visualisation).
        use (Sequence[str], optional): Modalities that
            :class:`LoadModalities` loads, out of those it can. Defaults to
            all.
        check_pairs (bool): Open all files of all samples when the data set is
            built, so that a bad pair is found before training starts. What
            has passed is remembered in the user's cache, or in
            ``$MMXDISTILL_CACHE`` (empty: nowhere). Defaults to True.
        trust_pickle (bool): Unpickle whatever ``proposal_file`` holds, not
            arrays only; this runs code that the file names. Defaults to
            False.
        reduced_jpeg (bool): See :class:`LoadModalities`. Defaults to False.
        **kwargs: Of :class:`mmdet.datasets.BaseDetDataset` (``data_root``,
            ``ann_file``, ``pipeline``, ``proposal_file``, ``indices``, ...).

    Raises:
        FileNotFoundError: The list file or a partner is missing.
        ValueError: No sample was found.
    """

    # Keys of the labelled ones, which mmdet's ConcatDataset compares.
    METAINFO: ClassVar[dict[str, Any]] = dict(classes=(), palette=None)

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
            samples = self.modality_paths.of_folders()
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
        if path.suffix.lower() == '.json':
            return [
                self._paths_of(record, path) for record in read_records(path)
            ]
        return self.modality_paths.of_list(path)

    def get_data_info(self, idx: int) -> dict:
        """Get a sample before the pipeline, with ``width`` and ``height``.

        Batches of one orientation (``AspectRatioBatchSampler``) ask for them
        as for those of a COCO record. They come from the head of the file of
        the first modality; a file that has none (``.npy``) leaves them out.

        Args:
            idx (int): Index of the sample.

        Returns:
            dict: The sample.
        """
        info = super().get_data_info(idx)
        path = info['img_path']
        size = read_image_size(path) if path else None
        if size is not None:
            info['width'], info['height'] = size
        return info


@DATASETS.register_module()
class PairedCocoDataset(_Paired, CocoDataset):
    """COCO-format boxes (and masks) on aligned images in several modalities.

    Args:
        modalities (dict[str, str | dict]): See :class:`PairedDataset`.
        use (Sequence[str], optional): See :class:`PairedDataset`.
        check_pairs (bool): See :class:`PairedDataset`. Defaults to True.
        trust_pickle (bool): See :class:`PairedDataset`. Defaults to False.
        reduced_jpeg (bool): See :class:`PairedDataset`. Defaults to False.
        boxes (str, optional): Modality whose own ``ann_file`` has the boxes,
            where each was annotated by itself: a detector of thermal images
            learns and is judged by what is seen in them. Its pixels are then
            those of the stack, so it must not be registered onto another
            modality. Defaults to None: the boxes are those of ``ann_file`` of
            the data set.
        **kwargs: Of :class:`mmdet.datasets.CocoDataset`.

    Raises:
        ValueError: ``metainfo['classes']`` are not the categories of the
            annotation file, or in another order; or ``boxes`` is no modality
            with boxes, or one that is moved.
    """

    def __init__(self, boxes: str | None = None, **kwargs: Any) -> None:
        # The stock class insists on a prefix of 'img'; the templates hold it.
        kwargs.setdefault('data_prefix', dict(img=''))
        self.boxes = boxes
        if boxes is not None:
            kwargs.update(choose_boxes(boxes, **kwargs))
        super().__init__(**kwargs)

    def full_init(self) -> None:
        """Load the annotations; see the base class."""
        if self.boxes is not None:
            for step in self.pipeline.transforms:
                check_boxes_stay(self.boxes, step)
        super().full_init()

    def load_data_list(self) -> list[dict]:
        """Read the annotation file, as :class:`mmdet.datasets.CocoDataset`.

        Returns:
            list[dict]: Samples, with ``modality_paths``.

        Raises:
            ValueError: ``metainfo['classes']`` does not fit the file, or none
                is given.
        """
        if not self.ann_file:
            raise ValueError(
                f"{type(self).__name__} has no ann_file: give ann_file='...', "
                "or boxes='rgb' for the boxes of a modality that has an "
                'ann_file of its own'
            )
        content = read_coco(self.ann_file)
        known = [category['name'] for category in content['categories']]
        classes = list(self.metainfo['classes'])
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise ValueError(
                f'metainfo.classes has {unknown}, which are not categories '
                f"of '{self.ann_file}': {known}"
            )
        check_class_order(classes, known, self.ann_file)
        # The file was parsed: CocoDataset need not do it again.
        self.__dict__['COCOAPI'] = partial(_index, self.COCOAPI, content)
        try:
            return super().load_data_list()
        finally:
            del self.__dict__['COCOAPI']

    def parse_data_info(self, raw_data_info: dict) -> dict | list[dict]:
        """Parse one image record and its annotations.

        Args:
            raw_data_info (dict): ``raw_img_info`` and ``raw_ann_info``.

        Returns:
            dict: Sample.

        Raises:
            ValueError: The record has no size, nor has its file.
        """
        record = raw_data_info['raw_img_info']
        paths = self._paths_of(record, self.ann_file)
        path = next(iter(paths.values()))
        if not (record.get('width') and record.get('height')):
            size = read_image_size(path)
            if size is None:
                raise ValueError(
                    f"'{self.ann_file}': image {record['id']} "
                    f"('{record.get('file_name')}') has no width and height, "
                    f"and they cannot be read from '{path}': write them into "
                    'its record'
                )
            record['width'], record['height'] = size
        # The templates need not have a file_name, CocoDataset does.
        record.setdefault('file_name', path)
        info = super().parse_data_info(raw_data_info)
        info.update(self._paths_info(paths))
        return info


def _index(coco_class: Any, content: dict[str, Any], _: str) -> Any:
    """Index of a parsed annotation file, as if it was read by the class."""
    coco = coco_class()
    coco.dataset = content
    coco.createIndex()
    # mmdet's names for them.
    coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs
    return coco
