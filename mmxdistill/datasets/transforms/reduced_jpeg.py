"""JPEG files that are decoded when it is known how large they are needed.

libjpeg decodes at a half, a quarter or an eighth of the size for a fraction
of the time (``cv2.IMREAD_REDUCED_*``). How far an image may be reduced is
known to :class:`CaffeResize` only, and boxes are in pixels of the file. So
until then a sample has the image as a :class:`UndecodedImage`: it has the size
of the file and may be mirrored, but has no pixels that a transform could take
for those of the file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from PIL import Image

from mmxdistill.datasets.transforms.channels import stack_channels
from mmxdistill.datasets.transforms.image_file import (
    COLOUR_OF_FILE,
    EXIF_ORIENTATION,
    JPEG_TAG,
    UPRIGHT,
    check_header,
    decode_upright,
    read_bytes,
)
from mmxdistill.datasets.transforms.loading import LoadGrayImageFromFile
from mmxdistill.datasets.transforms.memory import stock_image

__all__ = [
    'Decoded',
    'JpegFile',
    'UndecodedImage',
    'check_reducible',
    'open_jpeg_files',
    'refuse_undecoded',
]

# Flags beside those of colour or grey.
_REDUCED = {
    1: 0,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_STOCK_FLAGS = {'color': cv2.IMREAD_COLOR, 'grayscale': cv2.IMREAD_GRAYSCALE}


class Decoded(NamedTuple):
    """An image that may be reduced.

    Attributes:
        image: (h, w, channels), mirrored as a view.
        step: Pixels of the file per pixel.
        start: Rows and columns of ``image`` before the first pixel of the
            file, parts of one: a mirrored image begins with the block that
            the file fills in part.
    """

    image: np.ndarray
    step: int
    start: tuple[float, float]


class JpegFile:
    """The content of a JPEG file, of which only the header was looked at.

    Args:
        content (bytes): Of the file.
        path (str): The file.
        loader (BaseTransform): Makes the image of what is decoded; of
            :func:`check_reducible`.

    Attributes:
        shape (tuple[int, int, int]): Height, width, channels; upright.
        backwards (tuple[bool, bool]): Whether EXIF reverses the rows and the
            columns of the file.
    """

    ndim = 3

    def __init__(self, content: bytes, path: str, loader: Any) -> None:
        self.path = path
        self._content, self._loader = content, loader
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            # Not getexif(), which looks at XMP, as OpenCV does not.
            exif = Image.Exif()
            exif.load(image.info.get('exif', b''))
        orientation = exif.get(EXIF_ORIENTATION, 1)
        swap, order = UPRIGHT.get(orientation, (False, (slice(None),) * 2))
        if swap:
            width, height = height, width
        channels = 3
        if isinstance(loader, LoadGrayImageFromFile):
            channels = loader.channels
        elif loader.color_type == 'grayscale':
            channels = 1
        self.shape = height, width, channels
        self.backwards = (order[0].step == -1, order[1].step == -1)

    @classmethod
    def open(cls, path: str, loader: Any) -> JpegFile | None:
        """Read a file.

        Args:
            path (str): The file.
            loader (BaseTransform): Of :func:`check_reducible`.

        Returns:
            JpegFile | None: None if it is of another format.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: It is damaged, or too large.
        """
        content = read_bytes(path, loader.backend_args)
        if not content.startswith(JPEG_TAG):
            return None
        check_header(content, path)
        try:
            return cls(content, path, loader)
        except Exception:  # nothing that Pillow can read: OpenCV decides
            return None

    def decode(self, step: int) -> np.ndarray:
        """Decode at 1 / step of the size, sides rounded up.

        Args:
            step (int): 1, 2, 4 or 8.

        Returns:
            np.ndarray: (h, w) or (h, w, channels).

        Raises:
            ValueError: The file cannot be decoded.
        """
        stock = isinstance(self._loader, LoadImageFromFile)
        flags = _STOCK_FLAGS[self._loader.color_type] if stock else None
        flags = COLOUR_OF_FILE if flags is None else flags
        image = decode_upright(self._content, flags | _REDUCED[step])
        size = tuple(-(-side // step) for side in self.shape[:2])
        if image is None or image.shape[:2] != size:
            found = 'nothing' if image is None else f'{image.shape[:2]}'
            raise ValueError(
                f"'{self.path}' cannot be decoded at 1/{step} of its size: "
                f'OpenCV gave {found}, not {size} (h, w). Replace the file, '
                'or leave reduced_jpeg out'
            )
        if stock:
            return stock_image(self._loader, image, self.path)
        sample = dict(img=image, img_path=self.path)
        found_: np.ndarray = self._loader(sample)['img']
        return found_


def open_jpeg_files(
    loaders: Mapping[str, Any], paths: Mapping[str, str]
) -> dict[str, JpegFile]:
    """Read the files of all modalities of a scene.

    Args:
        loaders (Mapping[str, BaseTransform]): Loader of each modality.
        paths (Mapping[str, str]): Its file.

    Returns:
        dict[str, JpegFile]: By modality; empty if one must be decoded in
        full, for then all are.
    """
    files: dict[str, JpegFile] = {}
    for name, loader in loaders.items():
        file = JpegFile.open(paths[name], loader)
        if file is None:
            warnings.warn(
                'LoadModalities(reduced_jpeg=True): there are files of '
                f"modality '{name}' that are no JPEG; their samples are "
                'decoded in full',
                stacklevel=2,
            )
            return {}
        files[name] = file
    # Of a size that differs, LoadModalities tells.
    turned = {file.backwards for file in files.values()}
    return files if len(turned) == 1 else {}


class UndecodedImage:
    """What a sample has for an image until :class:`CaffeResize` decodes it.

    It has a ``shape`` and follows ``np.flip``, which is what ``RandomFlip``
    does to an image. Whatever else asks for its pixels is an error.

    Args:
        files (Sequence[JpegFile]): Of one size.
        flips (tuple[bool, bool]): Whether rows and columns are reversed.
    """

    ndim = 3

    def __init__(
        self,
        files: Sequence[JpegFile],
        flips: tuple[bool, bool] = (False, False),
    ) -> None:
        self._files, self._flips = tuple(files), flips
        channels = sum(file.shape[2] for file in files)
        self.shape = (*files[0].shape[:2], channels)

    def decode(self, factor: float) -> Decoded:
        """Decode as small as what is needed allows.

        Args:
            factor (float): Pixels of the result per pixel of the file.

        Returns:
            Decoded: The image, not smaller than the result.
        """
        step = max(n for n in _REDUCED if n == 1 or self._fits(n, factor))
        image = stack_channels([file.decode(step) for file in self._files])
        start = [
            -side % step / step if flip != backwards else 0.0
            for side, flip, backwards in zip(
                self.shape, self._flips, self._files[0].backwards, strict=False
            )
        ]
        down, right = (-1 if flip else 1 for flip in self._flips)
        return Decoded(image[::down, ::right], step, (start[0], start[1]))

    def _fits(self, step: int, factor: float) -> bool:
        """Whether a reduced image is large enough, and can be resized.

        OpenCV copies an image whose size stays, whatever the factor.
        """
        factor *= step
        sides = [-(-side // step) for side in self.shape[:2]]
        return factor == 1 or (
            factor < 1 and any(round(s * factor) != s for s in sides)
        )

    def __array_function__(
        self, func: Any, types: Any, args: Sequence, kwargs: Mapping
    ) -> UndecodedImage:
        """Follow ``np.flip``, and nothing else of NumPy."""
        if func is not np.flip:
            self.refuse(f'np.{func.__name__}')
        axes = kwargs['axis'] if 'axis' in kwargs else args[1]
        flips = list(self._flips)
        for axis in np.atleast_1d(axes):
            flips[axis] = not flips[axis]
        return UndecodedImage(self._files, (flips[0], flips[1]))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        """Refuse to be an array."""
        self.refuse('an array')

    def __getitem__(self, key: Any) -> NoReturn:
        """Refuse to be cropped."""
        self.refuse('a part of it')

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        """Refuse to be painted."""
        self.refuse('to change it')

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse to be used as an array."""
        if name.startswith('__'):
            raise AttributeError(name)
        raise AttributeError(self._reason(f'.{name}'))

    def __deepcopy__(self, memo: Any) -> UndecodedImage:
        """It never changes."""
        return self

    def refuse(self, what: str) -> NoReturn:
        """Say who may not have the pixels.

        Args:
            what (str): What asks for them.

        Raises:
            TypeError: Always.
        """
        raise TypeError(self._reason(what))

    def _reason(self, what: str) -> str:
        return (
            f"the image of '{self._files[0].path}' is not decoded yet "
            f'(LoadModalities(reduced_jpeg=True)), but a transform asks for '
            f'its pixels ({what}): only flips may come before '
            'mmxdistill.CaffeResize, which decodes it; put everything else '
            'behind, or leave reduced_jpeg out'
        )


def check_reducible(name: str, steps: Sequence[BaseTransform]) -> None:
    """Refuse the pipeline of a modality that needs all pixels of its files.

    Args:
        name (str): The modality.
        steps (Sequence[BaseTransform]): Its pipeline.

    Raises:
        ValueError: It is more than a loader of 8-bit colour or grey.
    """
    loader = steps[0]
    # What inherits from it may read anything.
    stock = type(loader).__name__ == 'LoadImageFromFile' and (
        loader.color_type in _STOCK_FLAGS
        and loader.imdecode_backend == 'cv2'
        and loader.file_client_args is None
    )
    if len(steps) != 1 or not (stock or type(loader) is LoadGrayImageFromFile):
        raise ValueError(
            f"LoadModalities(reduced_jpeg=True): modality '{name}' must be "
            "loaded by LoadImageFromFile ('color' or 'grayscale', by cv2) or "
            'mmxdistill.LoadGrayImageFromFile and nothing else, found '
            f'{[type(step).__name__ for step in steps]}: depth, encodings, '
            'registration and augmentation need all pixels of a file. Leave '
            'reduced_jpeg out, or store the encoded images'
        )


def refuse_undecoded(transform: object, results: Mapping[str, Any]) -> None:
    """Keep a transform from what OpenCV would call no NumPy array.

    Args:
        transform: Works on pixels.
        results (Mapping): Sample.

    Raises:
        TypeError: Its image is not decoded.
    """
    if isinstance(results.get('img'), UndecodedImage):
        results['img'].refuse(type(transform).__name__)
