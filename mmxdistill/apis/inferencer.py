"""Detection in new pairs of images, without a data set."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from itertools import islice
from numbers import Real
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import init_default_scope

from mmxdistill.apis.config import read_config
from mmxdistill.apis.inputs import Pair, list_pairs
from mmxdistill.apis.pair_pipeline import PairPipeline
from mmxdistill.apis.proposals import ProposalSource
from mmxdistill.apis.result_page import ResultPage
from mmxdistill.apis.results import ResultWriter, to_dict
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
            weights do not fit, or are of other classes; or there is no such
            device.

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
        self.pipeline = PairPipeline(cfg)
        self.modalities = self.pipeline.modalities
        self.metainfo = self.pipeline.metainfo
        self.classes = self.metainfo.get('classes')
        self._facts = dict(
            config=str(cfg.filename),
            weights=str(weights or 'those of the streams'),
        )
        self.model = self._build_model(cfg, weights)
        device = device or get_device()
        try:
            self.model.to(device).eval()
        except (AssertionError, RuntimeError) as error:  # no such device
            raise ValueError(
                f"device='{device}': {str(error).splitlines()[0]}"
            ) from error

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
            ValueError: The inputs are no pairs, or cannot be loaded, or an
                option is no such number.
        """
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(
                f'batch_size is a whole number from 1 on: {batch_size!r}'
            )
        if not isinstance(score_thr, Real) or math.isnan(score_thr):
            raise ValueError(f'score_thr is a number: {score_thr!r}')
        source = self._proposal_source(proposals)
        pairs = list_pairs(
            self.pipeline.complete(inputs),
            self.pipeline.partner,
            self.pipeline.derive,
            allow_missing,
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
                self.pipeline(
                    len(found) + i, pair, source, self.model.data_preprocessor
                )
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
        if self.pipeline.takes_proposals and proposals is None:
            raise ValueError(
                'the detector takes proposals: give proposals=boxes (n, 4), '
                f'a proposal file, or one of {list(PROPOSAL_METHODS)} '
                '(--proposals)'
            )
        if proposals is None:
            return None
        if not self.pipeline.takes_proposals:
            raise ValueError(
                'proposals: the test pipeline of the config has no '
                'LoadProposals, its detector finds its own boxes'
            )
        return ProposalSource(proposals)

    @torch.no_grad()
    def _detect(self, batch: list[dict]) -> list[DetDataSample]:
        return self.model.test_step(
            dict(
                inputs=[data['inputs'] for data in batch],
                data_samples=[data['data_samples'] for data in batch],
            )
        )


def _batches(pairs: Iterator[Pair], size: int) -> Iterator[list[Pair]]:
    while batch := list(islice(pairs, size)):
        yield batch
