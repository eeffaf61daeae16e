"""Region proposals without a network: a stand-in for MCG."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_LEVELS = (0.03, 0.08, 0.14, 0.22, 0.35)
_MISSED = 0.12


def sample_proposals(
    objects: NDArray[np.float32],
    parts: NDArray[np.float32],
    image_size: tuple[int, int],
    number: int,
    rng: Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Jittered boxes around everything visible, and random windows.

    Labelled and unlabelled objects are treated alike, so the proposals do
    not tell which regions are labelled. Each object gets one box per jitter
    level, a few objects are left out, each part gets one box, and windows of
    random size fill up to ``number``.

    Args:
        objects (ndarray): (M, 4) boxes of all visible objects, xyxy pixels.
        parts (ndarray): (P, 4) boxes of their visible parts.
        image_size (tuple[int, int]): Width and height, pixels.
        number (int): Number of proposals.
        rng (np.random.Generator): Source of randomness.

    Returns:
        tuple[ndarray, ndarray]: (number, 4) float32 xyxy boxes and (number,)
        float32 scores, in descending order of score. Scores fall with the
        jitter and are only weakly informative.
    """
    width, height = image_size
    found = objects[rng.random(len(objects)) >= _MISSED]
    boxes, scores = [], []
    for level in _LEVELS:
        boxes.append(_jitter(found, level, rng))
        scores.append(np.full(len(found), 0.75 - level))
    boxes.append(_jitter(parts, 0.1, rng))
    scores.append(np.full(len(parts), 0.45))
    windows = max(number - sum(map(len, boxes)), number // 3)
    boxes.append(_windows(windows, width, height, rng))
    scores.append(np.full(windows, 0.3))

    box = np.concatenate(boxes)
    score = np.concatenate(scores)
    score += rng.normal(0, 0.12, len(score))
    box[:, 0::2] = np.clip(box[:, 0::2], 0, width)
    box[:, 1::2] = np.clip(box[:, 1::2], 0, height)
    thin = (box[:, 2:] - box[:, :2]).min(1) < 4
    score[thin] = -np.inf
    order = np.argsort(-score, kind='stable')[:number]
    keep = order[np.isfinite(score[order])]
    return (
        box[keep].astype(np.float32),
        np.clip(score[keep], 0, 1).astype(np.float32),
    )


def _jitter(
    boxes: NDArray[np.floating], level: float, rng: Generator
) -> NDArray[np.float64]:
    """Move every side by a normal fraction of the box size."""
    size = np.tile(boxes[:, 2:] - boxes[:, :2], (1, 2))
    return boxes + size * rng.normal(0, level, boxes.shape)


def _windows(
    number: int, width: int, height: int, rng: Generator
) -> NDArray[np.float64]:
    size = min(width, height) * np.exp(
        rng.uniform(np.log(0.08), np.log(0.9), number)
    )
    aspect = np.exp(rng.normal(0, 0.5, number))
    half = np.stack([size * aspect, size / aspect], 1) / 2
    centre = rng.random((number, 2)) * [width, height]
    return np.concatenate([centre - half, centre + half], 1)
