"""An image that is moved afterwards equals one that was moved by OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from mmxdistill.encodings.deferred import (
    find_axes,
    move_like,
    position_image,
)


def resize(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """To (width, height)."""
    scale = np.divide(size, image.shape[1::-1])
    return cv2.resize(image, size), np.diag([*scale, 1]) @ matrix


def flip(
    image: np.ndarray, matrix: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Along the rows (0) or the columns (1)."""
    step = np.eye(3)
    step[1 - axis, 1 - axis] = -1
    step[1 - axis, 2] = image.shape[axis]
    return np.flip(image, axis), step @ matrix


def crop(
    image: np.ndarray, matrix: np.ndarray, box: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    x, y, w, h = box
    step = np.eye(3)
    step[:2, 2] = -x, -y
    return image[y : y + h, x : x + w], step @ matrix


def smooth(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    noise = rng.integers(0, 256, (h, w, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def follow(
    image: np.ndarray, stand_in: np.ndarray, matrix: np.ndarray | None
) -> np.ndarray:
    axes = find_axes(matrix, image.shape[:2], stand_in)
    moved = move_like(
        torch.from_numpy(image).permute(2, 0, 1),
        axes,
        torch.from_numpy(np.ascontiguousarray(stand_in)).permute(2, 0, 1),
    )
    return moved.permute(1, 2, 0).numpy()


@pytest.mark.parametrize('seed', range(60))
def test_any_resize_flip_and_crop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    h, w = (int(2 ** rng.uniform(0, 9)) for _ in range(2))
    image = smooth(rng, h, w)
    moved = np.concatenate([image, position_image(h, w)], axis=2)
    matrix = np.eye(3)
    if rng.random() < 0.5:
        moved, matrix = flip(moved, matrix, int(rng.integers(2)))
    if rng.random() < 0.8:
        sizes = (np.array([w, h]) * 2 ** rng.uniform(-2, 1.5, 2)).astype(int)
        size = tuple(np.maximum(sizes, 1).tolist())
        moved, matrix = resize(np.ascontiguousarray(moved), matrix, size)
    if rng.random() < 0.5:
        moved, matrix = flip(moved, matrix, int(rng.integers(2)))
    if rng.random() < 0.5:
        h2, w2 = moved.shape[:2]
        x, y = int(rng.integers(w2)), int(rng.integers(h2))
        box = x, y, int(rng.integers(1, w2 - x + 1)), h2 - y
        moved, matrix = crop(moved, matrix, box)
    found = follow(image, moved[..., 3:], matrix.astype(np.float32))
    # OpenCV interpolates 8-bit images with 11-bit weights.
    difference = np.abs(found.astype(int) - moved[..., :3])
    assert difference.max() <= 1
    if difference.size > 300:
        assert (difference > 0).mean() < 0.2


def test_nothing_happened() -> None:
    image = smooth(np.random.default_rng(0), 40, 50)
    np.testing.assert_array_equal(
        follow(image, position_image(40, 50), None), image
    )


def test_float_images_are_not_rounded() -> None:
    image = smooth(np.random.default_rng(0), 40, 50)
    stand_in = position_image(40, 50).astype(np.float32)
    moved, matrix = resize(stand_in, np.eye(3), (75, 60))
    found = follow(image, moved, matrix)
    expected = cv2.resize(image.astype(np.float32), (75, 60))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize('axis', [0, 1])
@pytest.mark.parametrize('scale', [1.0, 0.6, 1.7])
def test_flip_of_inclusive_boxes_is_recognised(
    axis: int, scale: float
) -> None:
    """Its matrix is a pixel short."""
    image = smooth(np.random.default_rng(0), 90, 100)
    moved, matrix = flip(
        np.concatenate([image, position_image(90, 100)], axis=2),
        np.eye(3),
        axis,
    )
    matrix[1 - axis, 2] -= 1
    size = round(100 * scale), round(90 * scale)
    moved, matrix = resize(np.ascontiguousarray(moved), matrix, size)
    found = follow(image, moved[..., 3:], matrix)
    assert np.abs(found.astype(int) - moved[..., :3]).max() <= 1


@pytest.mark.parametrize(
    'matrix',
    [
        [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0.001, 0, 1]],
        [[1, 0, 0], [0, 1, 1], [0, 0, 1]],  # a row off
        [[1, 0, -1], [0, 1, 0], [0, 0, 1]],
        [[1.02, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[-1, 0, 100], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0], [0, -1, 90], [0, 0, 1]],
        [[1, 0, 126], [0, 1, 0], [0, 0, 1]],  # a whole wave off
    ],
)
def test_wrong_matrix_is_an_error(matrix: list[list[float]]) -> None:
    with pytest.raises(ValueError, match='homography_matrix'):
        find_axes(matrix, (90, 100), position_image(90, 100))
