"""Detection in new pairs of images, without a data set."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmxdistill.apis.config import read_config
from mmxdistill.apis.inputs import Pair, list_pairs
from mmxdistill.apis.proposals import ProposalSource
from mmxdistill.apis.result_page import ResultPage
from mmxdistill.apis.results import ResultWriter, to_dict
from mmxdistill.datasets.configured import split_modalities
from mmxdistill.datasets.transforms import LoadModalities
from mmxdistill.datasets.transforms.stock import check_data_set, walk
from mmxdistill.models.detectors import (
    LateFusionDetector,
    SupervisionTransfer,
)
from mmxdistill.models.networks import (
    build_network,
    load_weights,
    names_weights,
    resolve_network,
)
from mmxdistill.options import PROPOSAL_METHODS
from mmxdistill.registry import DATASETS

__all__ = ['MultiModalInferencer']


class MultiModalInferencer:
    """Detect objects in pairs (or tuples) of images.

    Images are loaded, registered, encoded, resized and normalised by the test
    pipeline of the config, so that the detections are those of
    ``tools/test.py``. Arrays and frames of videos are treated as files that
    hold them: colour is BGR, thermal or depth is as it is stored.

    Args:
        config (str | PathLike | Config): Config of a detector whose
            ``test_dataloader`` has modalities; a file, or a name below the
            ``configs`` of mmxdistill.
        weights (str, optional): Checkpoint. May be left out for a late fusion
            whose streams all name theirs.
        device (str, optional): Defaults to the GPU if there is one.

    Attributes:
        modalities (tuple[str]): What a pair consists of, in order; boxes are
            in pixels of the first.
        classes (tuple[str] | None): Names of the labels.

    Raises:
        FileNotFoundError: The config or the checkpoint does not exist.
        ValueError: The config has no pairs, or is no detector's; or the
            weights do not fit, or are of other classes.

    Examples:
        >>> inferencer = MultiModalInferencer('fusion.py', 'fusion.pth')
        >>> inferencer(dict(rgb='a.jpg', thermal='b.png'))[0]['scores']
    """

    def __init__(
        self,
        config: str | os.PathLike[str] | Config,
        weights: str | os.PathLike[str] | None = None,
        device: str | None = None,
    ) -> None:
        cfg = read_config(config)
        init_default_scope(cfg.get('default_scope') or 'mmdet')
        self._build_pipeline(cfg)
        self.classes = self.metainfo.get('classes')
        self._facts = dict(
            config=str(cfg.filename),
            weights=str(weights or 'those of the streams'),
        )
        self.model = self._build_model(cfg, weights)
        self.model.to(device or get_device()).eval()

    def _build_pipeline(self, cfg: Config) -> None:
        dataset: Any = (cfg.get('test_dataloader') or {}).get('dataset')
        while dataset is not None and not {'dataset', 'datasets'}.isdisjoint(
            dataset
        ):
            dataset = dataset.get('dataset') or dataset['datasets'][0]
        if dataset is None:
            raise ValueError(
                f"'{cfg.filename}' has no test_dataloader, whose pipeline "
                'says how to load a pair'
            )
        # No file of it is read.
        built = DATASETS.build(dict(copy.deepcopy(dataset), lazy_init=True))
        check_data_set(built)
        self.metainfo = dict(built.metainfo)
        steps = built.pipeline.transforms
        loads = [isinstance(step, LoadModalities) for step in steps]
        if True not in loads:
            raise ValueError(
                f"'{cfg.filename}' loads single images, not pairs: its test "
                "pipeline has no LoadModalities. Use mmdet's DetInferencer"
            )
        split = loads.index(True) + 1
        self._loader: LoadModalities = steps[split - 1]
        self._load, self._rest = steps[:split], steps[split:]
        self._use = getattr(built, 'use', None)
        self.modalities = tuple(
            name
            for name in self._loader.pipelines
            if self._use is None or name in self._use
        )
        paths = getattr(built, 'modality_paths', None)
        self._templates = {} if paths is None else dict(paths.templates)
        # The first one names the scenes, as in the data set.
        self._known = list(
            dict.fromkeys(
                [
                    *self._templates,
                    *self._loader.pipelines,
                    *self._loader.templates,
                ]
            )
        )
        self._takes_proposals = any(
            type(one).__name__ == 'LoadProposals' for one in walk(self._rest)
        )

    def _build_model(
        self, cfg: Config, weights: str | os.PathLike[str] | None
    ) -> Any:
        if weights is None and not names_weights(cfg.model):
            raise ValueError(
                f"'{cfg.filename}': give weights (a checkpoint file); only a "
                'model whose streams all have checkpoints does without'
            )
        model = build_network(resolve_network(cfg))
        if isinstance(model, SupervisionTransfer):
            raise ValueError(
                f"'{cfg.filename}' is a supervision transfer, which detects "
                'nothing: give the config of a detector'
            )
        if weights is None and isinstance(model, LateFusionDetector):
            model.check_loaded()
        if weights is not None:
            named = load_weights(model, os.fspath(weights), 'detector')
            if self.classes is None:
                self.classes = named
            elif named and tuple(named) != tuple(self.classes):
                raise ValueError(
                    f"'{weights}' was trained for the classes {list(named)}, "
                    f"but test_dataloader of '{cfg.filename}' has "
                    f'{list(self.classes)}: set metainfo=dict(classes=...) of '
                    'its data set'
                )
        return revert_sync_batchnorm(model)

    def __call__(
        self,
        inputs: Any,
        proposals: Any = None,
        batch_size: int = 1,
        out_dir: str | os.PathLike[str] | None = None,
        score_thr: float = 0.3,
        return_datasamples: bool = False,
        allow_missing: bool = False,
        html: str | os.PathLike[str] | None = None,
    ) -> list[Any]:
        """Detect objects.

        Args:
            inputs (dict | Sequence[dict]): Modality -> its image: an array
                (H, W, 3), (H, W, 1) or (H, W), or a path; a list of these; a
                folder; or a video. Files of folders are paired as the config
                names them, or by equal names. None is a missing modality,
                which a late fusion does without.
            proposals (Any): For detectors that take proposals: boxes (n, 4)
                xyxy in pixels of the first modality (a list for several
                pairs), a proposal file, or how to make them: 'windows',
                'selective_search' or 'edge_boxes'.
            batch_size (int): Pairs that the network sees at once. Defaults
                to 1.
            out_dir (str or PathLike, optional): Write
                ``preds/<name>.json``, and ``vis/<name>.jpg``, all modalities
                side by side.
            score_thr (float): Lowest score of what is drawn. Defaults to 0.3.
            return_datasamples (bool): Return ``DetDataSample`` instead of
                plain numbers. Defaults to False.
            allow_missing (bool): Files that do not exist are missing
                modalities, not an error. Defaults to False.
            html (str or PathLike, optional): Write a page with all pairs and
                their boxes; of a late fusion, those of each stream as well,
                which takes a pass of each stream alone.

        Returns:
            list: Per pair ``dict(labels=..., scores=..., bboxes=...)``, with
            ``masks`` if the detector has them.

        Raises:
            FileNotFoundError: Files are missing; names them.
            KeyError: A modality is not given.
            ValueError: The inputs are no pairs, or cannot be loaded.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1: {batch_size}')
        source = self._proposal_source(proposals)
        pairs = list_pairs(
            self._complete(inputs), self._partner, self._derive, allow_missing
        )
        writer = None
        if out_dir is not None:
            metainfo = {**self.metainfo, 'classes': self.classes}
            writer = ResultWriter(out_dir, metainfo, score_thr)
        page = None
        if html is not None:
            page = ResultPage(
                html,
                self.model,
                self._detect,
                self.classes,
                score_thr,
                self._facts,
            )
        found: list[Any] = []
        for batch in _batches(pairs, batch_size):
            loaded = [
                self._run_pipeline(len(found) + i, pair, source)
                for i, pair in enumerate(batch)
            ]
            data, images = zip(*loaded, strict=True)
            samples = self._detect(list(data))
            if page is not None:
                page.add(batch, data, images, samples)
            for pair, sample, image in zip(
                batch, samples, images, strict=True
            ):
                if writer is not None:
                    missing = sample.get('missing_modalities', ())
                    writer(pair.name, sample, image, missing)
                found.append(sample if return_datasamples else to_dict(sample))
        if source is not None:
            source.close()
        if page is not None:
            page.write()
        return found

    def _proposal_source(self, proposals: Any) -> ProposalSource | None:
        if self._takes_proposals and proposals is None:
            raise ValueError(
                'the detector takes proposals: give proposals=boxes (n, 4), '
                f'a proposal file, or one of {list(PROPOSAL_METHODS)} '
                '(--proposals)'
            )
        if proposals is None:
            return None
        if not self._takes_proposals:
            raise ValueError(
                'proposals: the test pipeline of the config has no '
                'LoadProposals, its detector finds its own boxes'
            )
        return ProposalSource(proposals)

    def _complete(self, inputs: Any) -> Any:
        """Check the names of the modalities, and order them."""
        if not isinstance(inputs, Mapping):
            if not isinstance(inputs, (list, tuple)):
                raise ValueError(
                    'inputs must be a dict, as '
                    + ', '.join(f'{n}=...' for n in self.modalities)
                    + f'; found {type(inputs).__name__}'
                )
            return [self._complete(one) for one in inputs]
        known = self._known
        unknown = [name for name in inputs if name not in known]
        if unknown:
            raise KeyError(
                f'there is no modality {unknown}; the config has {known}'
            )
        lacking = [
            name
            for name in self.modalities
            if name not in inputs and name not in self._loader.templates
        ]
        if lacking:
            raise KeyError(
                f'inputs lack {lacking}: give all of {list(self.modalities)}, '
                'None where one is missing'
            )
        return {name: inputs[name] for name in known if name in inputs}

    def _partner(self, name: str, first: str, path: str) -> str | None:
        """How the config names a modality's file, by that of the first."""
        if first != self._known[0]:
            return None
        if name in self._loader.templates:
            return self._loader.templates[name](path)
        other = self._templates.get(name, '')
        stem = _stem(self._templates.get(first, ''), PurePath(path).stem)
        pattern = PurePath(other).stem
        if stem is None or re.findall(r'{.*?}', pattern) != ['{stem}']:
            return None
        return pattern.format(stem=stem) + PurePath(other).suffix

    def _run_pipeline(
        self, index: int, pair: Pair, proposals: ProposalSource | None
    ) -> tuple[dict, dict[str, np.ndarray]]:
        """Load a pair; returns the network's input, and images to look at."""
        results: Any = self._sample(index, pair.name, pair.sources)
        for step in self._load:
            results = step(results)
        images = split_modalities(results)
        missing = results.get('missing_modalities', ())
        if proposals is not None:
            first = pair.sources.get(self._known[0])
            results['proposals'] = proposals(
                pair.name,
                first if isinstance(first, str) else None,
                lambda: {n: x for n, x in images.items() if n not in missing},
            )
        for step in self._rest:
            results = step(results)
            if results is None:
                raise ValueError(
                    f"'{pair.name}': {type(step).__name__} of the test "
                    'pipeline has dropped it'
                )
        return results, images

    def _derive(self, pair: Pair) -> Pair:
        """Name the files that were not given, by those that were."""
        sources = dict(pair.sources)
        first = sources.get(self._loader.reference)
        for name, template in self._loader.templates.items():
            if name in sources:
                continue
            if isinstance(first, str):
                sources[name] = template(first)
            elif name in self.modalities:
                raise KeyError(
                    f"'{pair.name}' lacks '{name}': without a file of "
                    f"'{self._loader.reference}' its name is not known"
                )
        return pair._replace(sources=sources)

    def _sample(
        self, index: int, name: str, sources: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a data set would hand to its pipeline."""
        given = {n: s for n, s in sources.items() if s is not None}
        missing = [n for n in self.modalities if n not in given]
        paths = {
            n: s if isinstance(s, str) else f'{name} ({n})'
            for n, s in given.items()
        }
        results: dict[str, Any] = dict(
            img_id=index,
            img_path=next(iter(paths.values())),
            instances=[],
            modality_paths=paths,
            modality_images={
                n: s for n, s in given.items() if isinstance(s, np.ndarray)
            },
        )
        if self._use is not None:
            results['modalities'] = tuple(self._use)
        if missing:
            self._check_missing(name, missing, given)
            slices = self.model.data_preprocessor.slices
            results['missing_channels'] = {
                n: slices[n].stop - slices[n].start for n in missing
            }
        return results

    def _check_missing(
        self, name: str, missing: list[str], given: Mapping[str, Any]
    ) -> None:
        if not isinstance(self.model, LateFusionDetector):
            raise ValueError(
                f"'{name}' lacks {missing}: only a LateFusionDetector does "
                f'without a modality, this is a {type(self.model).__name__}'
            )
        reference = self._loader.reference
        moved = [n for n in self._loader.registered if n in given]
        if reference in missing and moved:
            raise ValueError(
                f"'{name}' lacks '{reference}', onto which {moved} is "
                'registered: boxes would be in pixels of no image'
            )
        encoders = self.model.data_preprocessor.encoders
        encoded = [n for n in missing if n in encoders]
        if encoded:
            raise ValueError(
                f"'{name}' lacks {encoded}, which the data preprocessor "
                'encodes on its device: leave on_device and encoders out of '
                'the config'
            )

    @torch.no_grad()
    def _detect(self, batch: list[dict]) -> list[DetDataSample]:
        return self.model.test_step(
            dict(
                inputs=[data['inputs'] for data in batch],
                data_samples=[data['data_samples'] for data in batch],
            )
        )


def _stem(template: str, stem: str) -> str | None:
    """What ``{stem}`` of a template stands for in a file's name."""
    pattern = PurePath(template).stem
    if re.findall(r'{.*?}', pattern) != ['{stem}']:
        return None
    head, tail = pattern.split('{stem}')
    match = re.fullmatch(re.escape(head) + '(.+)' + re.escape(tail), stem)
    return match and match[1]


def _batches(pairs: Iterator[Pair], size: int) -> Iterator[list[Pair]]:
    while batch := list(islice(pairs, size)):
        yield batch
