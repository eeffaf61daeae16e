"""The test pipeline of a config, on pairs that belong to no data set."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
from mmengine.config import Config

from mmxdistill.apis.inputs import Pair
from mmxdistill.apis.proposals import ProposalSource
from mmxdistill.datasets.configured import split_modalities
from mmxdistill.datasets.transforms import LoadModalities
from mmxdistill.datasets.transforms.stock_checks import check_data_set, walk
from mmxdistill.registry import DATASETS

__all__ = ['PairPipeline']


class PairPipeline:
    """Loads pairs as the ``test_dataloader`` of a config does.

    Args:
        cfg (Config): The config. No file of its data set is read.

    Attributes:
        modalities (tuple[str]): What a pair consists of, in order.
        metainfo (dict): Of the data set.
        takes_proposals (bool): Whether it has ``LoadProposals``.

    Raises:
        ValueError: There is no such data set, or it loads no pairs.
    """

    def __init__(self, cfg: Config) -> None:
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
        self.takes_proposals = any(
            type(one).__name__ == 'LoadProposals' for one in walk(self._rest)
        )

    def complete(self, inputs: Any) -> Any:
        """Check the names of the modalities, and order them.

        Args:
            inputs (dict | Sequence[dict]): Modality -> whatever is given.

        Returns:
            dict | list[dict]: The same, in the order of the config.

        Raises:
            KeyError: A modality is lacking, or not known.
            ValueError: It is something else.
        """
        if not isinstance(inputs, Mapping):
            if not isinstance(inputs, (list, tuple)):
                raise ValueError(
                    'inputs must be a dict, as '
                    + ', '.join(f'{n}=...' for n in self.modalities)
                    + f'; found {type(inputs).__name__}'
                )
            return [self.complete(one) for one in inputs]
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

    def partner(self, name: str, first: str, path: str) -> str | None:
        """How the config names a modality's file, by that of the first.

        Args:
            name (str): The modality.
            first (str): The one whose file is known.
            path (str): That file.

        Returns:
            str | None: Its name, None if the config does not tell.
        """
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

    def derive(self, pair: Pair) -> Pair:
        """Name the files that were not given, by those that were.

        Args:
            pair (Pair): What was given.

        Returns:
            Pair: All that the config loads.

        Raises:
            KeyError: They cannot be named.
        """
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
                    f"'{self._loader.reference}' its name is not known: give "
                    f'{name}=..., None if it is missing'
                )
        return pair._replace(sources=sources)

    def __call__(
        self,
        index: int,
        pair: Pair,
        proposals: ProposalSource | None,
        preprocessor: Any,
    ) -> tuple[dict, dict[str, np.ndarray]]:
        """Load a pair.

        Args:
            index (int): Of the pair.
            pair (Pair): Its images.
            proposals (ProposalSource, optional): Of a detector that takes
                them.
            preprocessor (MultiModalDataPreprocessor): Of the detector: tells
                what stands in for a missing modality.

        Returns:
            tuple[dict, dict]: Inputs of the network, and images (H, W, C) to
            look at.

        Raises:
            ValueError: The images cannot be loaded, or one is missing that
                the detector needs.
        """
        results: Any = self._sample(index, pair, preprocessor)
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

    def _sample(
        self, index: int, pair: Pair, preprocessor: Any
    ) -> dict[str, Any]:
        """What a data set would hand to its pipeline."""
        name, sources = pair
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
            self._check_missing(name, missing, given, preprocessor)
            slices = preprocessor.slices
            results['missing_channels'] = {
                n: slices[n].stop - slices[n].start for n in missing
            }
        return results

    def _check_missing(
        self,
        name: str,
        missing: list[str],
        given: Mapping[str, Any],
        preprocessor: Any,
    ) -> None:
        if not getattr(preprocessor, 'takes_missing', False):
            raise ValueError(
                f"'{name}' lacks {missing}: only a LateFusionDetector does "
                'without a modality'
            )
        reference = self._loader.reference
        moved = [n for n in self._loader.registered if n in given]
        if reference in missing and moved:
            raise ValueError(
                f"'{name}' lacks '{reference}', onto which {moved} is "
                'registered: boxes would be in pixels of no image'
            )
        encoded = [n for n in missing if n in preprocessor.encoders]
        if encoded:
            raise ValueError(
                f"'{name}' lacks {encoded}, which the data preprocessor "
                'encodes on its device: leave on_device and encoders out of '
                'the config'
            )


def _stem(template: str, stem: str) -> str | None:
    """What ``{stem}`` of a template stands for in a file's name."""
    pattern = PurePath(template).stem
    if re.findall(r'{.*?}', pattern) != ['{stem}']:
        return None
    head, tail = pattern.split('{stem}')
    match = re.fullmatch(re.escape(head) + '(.+)' + re.escape(tail), stem)
    return match and match[1]
