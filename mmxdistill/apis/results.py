"""Detections as plain numbers, and drawn on all modalities."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmdet.visualization import DetLocalVisualizer

from mmxdistill.atomic import atomic_write
from mmxdistill.visualization.images import to_levels

__all__ = ['ResultWriter', 'to_dict']


def to_dict(sample: DetDataSample) -> dict[str, Any]:
    """Detections as mmdet's ``DetInferencer`` returns them.

    Args:
        sample (DetDataSample): With ``pred_instances``.

    Returns:
        dict: ``labels`` (n,), ``scores`` (n,), ``bboxes`` (n, 4) in pixels of
        the first modality's image, and ``masks`` in run lengths if there are
        any: lists of plain numbers.
    """
    found = sample.pred_instances
    result = {
        key: found[key].cpu().numpy().tolist()
        for key in ('labels', 'scores', 'bboxes')
    }
    if 'masks' in found:
        result['masks'] = [
            {**mask, 'counts': mask['counts'].decode()}
            for mask in encode_mask_results(found.masks.cpu().numpy())
        ]
    return result


class ResultWriter:
    """Writes ``preds/<name>.json`` and ``vis/<name>.jpg`` for each pair.

    Args:
        folder (str or PathLike): Where to.
        metainfo (Mapping): ``classes`` and, if there is one, ``palette``.
        score_thr (float): Boxes of lower scores are not drawn.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        metainfo: Mapping[str, Any],
        score_thr: float,
    ) -> None:
        self.folder = Path(folder)
        self.score_thr = score_thr
        self._visualizer = DetLocalVisualizer()
        self._visualizer.dataset_meta = {
            'classes': metainfo.get('classes'),
            'palette': metainfo.get('palette') or 'random',
        }
        # Name that is taken -> last number that was put behind it.
        self._names: dict[str, int] = {}

    def __call__(
        self,
        name: str,
        sample: DetDataSample,
        images: Mapping[str, np.ndarray],
        missing: Sequence[str] = (),
    ) -> None:
        """Write the results of a pair.

        Args:
            name (str): Of the pair; a second one of the same name gets a
                number.
            sample (DetDataSample): Its detections.
            images (Mapping): Modality -> image (H, W, C).
            missing (Sequence[str]): Modalities whose images stand in.
        """
        name = self._unused(name)
        with atomic_write(self.folder / 'preds' / f'{name}.json') as file:
            file.write(json.dumps(to_dict(sample)).encode())
        panels = [
            to_levels(image)
            if modality in missing
            else self._draw(to_levels(image), sample)
            for modality, image in images.items()
        ]
        known, content = cv2.imencode('.jpg', np.concatenate(panels, axis=1))
        assert known
        with atomic_write(self.folder / 'vis' / f'{name}.jpg') as file:
            file.write(content.tobytes())

    def _unused(self, name: str) -> str:
        """The name, with a number behind it if it is taken."""
        unused, number = name, self._names.get(name, 0)
        while unused in self._names:
            number += 1
            unused = f'{name}_{number}'
        self._names[name] = number
        self._names.setdefault(unused, 0)
        return unused

    def _draw(self, image: np.ndarray, sample: DetDataSample) -> np.ndarray:
        """Draw the boxes on an image, BGR."""
        self._visualizer.add_datasample(
            '',
            np.ascontiguousarray(image[..., ::-1]),
            sample,
            draw_gt=False,
            pred_score_thr=self.score_thr,
        )
        return np.asarray(self._visualizer.get_image())[..., ::-1]
