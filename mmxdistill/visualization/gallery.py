"""Pictures of pairs for an HTML page: thumbnails with boxes to look into."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from markupsafe import Markup

from mmxdistill.visualization.images import to_levels
from mmxdistill.visualization.page import render

__all__ = ['LIMIT', 'Boxes', 'Gallery', 'Picture']

_SIDE = 400
_QUALITY = 80
LIMIT = 32 * 2**20  # bytes
_BOXES = 50
_LAYERS = 8  # as many colours as page.css has
_NAMED = 10


@dataclass(frozen=True)
class Boxes:
    """Boxes of one origin on a picture.

    Attributes:
        layer: Where they are from, such as 'objects' or 'thermal'.
        boxes: (n, 4) xyxy in pixels of the image.
        texts: Class of each; none at all for boxes without a name.
        scores: (n,) or None.
        dashed: Whether to draw them thin.
        named: Whether to write the texts beside the boxes; else they are seen
            where the mouse is.
    """

    layer: str
    boxes: np.ndarray
    texts: Sequence[str] = ()
    scores: np.ndarray | None = None
    dashed: bool = False
    named: bool = True


@dataclass(frozen=True)
class Picture:
    """An image of a modality.

    Attributes:
        name: Of the modality.
        image: (H, W, C) of any type, or None if it is missing.
        boxes: What is drawn on it.
        href: Where the name leads.
        note: Why the image is missing.
    """

    name: str
    image: np.ndarray | None
    boxes: Sequence[Boxes] = ()
    href: str | None = None
    note: str = 'missing'


@dataclass
class Gallery:
    """Cards of pictures, up to a size.

    Cards are kept as HTML, their images small and compressed, so that
    thousands of pairs fit in memory; what exceeds ``limit`` is left out and
    counted.

    Attributes:
        what: What a card is, in plural.
        side: Longest side of a thumbnail in pixels.
        limit: Bytes of all cards.
        floor: Lowest score of a box.
        cards: What was added.
        layers: Origins of boxes, in the order of their colours.
        scored: Whether any box has a score.
        named: Whether any box has a text beside it.
        left_out: Cards that did not fit.
    """

    what: str = 'pairs'
    side: int = _SIDE
    limit: int = LIMIT
    floor: float = 0.0
    cards: list[Markup] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    scored: bool = False
    named: bool = False
    left_out: int = 0
    _size: int = 0

    def add(
        self,
        title: str,
        pictures: Sequence[Picture],
        notes: Sequence[str] = (),
        href: str | None = None,
    ) -> bool:
        """Add a card.

        Args:
            title (str): Above the pictures.
            pictures (Sequence[Picture]): Side by side.
            notes (Sequence[str]): Below them. Defaults to none.
            href (str, optional): Where the title leads.

        Returns:
            bool: Whether it fitted.

        Raises:
            ValueError: Boxes of more than eight origins.
        """
        if self.full:
            return self.skip()
        card = render(
            'card.html',
            title=title,
            pictures=[self._prepare(title, one) for one in pictures],
            notes=notes,
            href=href,
        )
        size = len(card.encode())
        if self._size + size > self.limit:
            return self.skip()
        self._size += size
        self.cards.append(card)
        return True

    @property
    def full(self) -> bool:
        """Whether a card was left out, and so are all that follow."""
        return self.left_out > 0

    def skip(self, count: int = 1) -> bool:
        """Leave out cards; returns False, for :meth:`add`."""
        self.left_out += count
        return False

    @property
    def left_out_text(self) -> str:
        """What the page says of the cards that did not fit."""
        total = len(self.cards) + self.left_out
        return (
            f'The pictures of the first {len(self.cards)} of {total} '
            f'{self.what} are shown; those of the other {self.left_out} are '
            f'left out, to keep them within {self.limit / 2**20:.0f} MB.'
        )

    def _layer(self, name: str) -> int:
        if name not in self.layers:
            if len(self.layers) == _LAYERS:
                raise ValueError(
                    f'boxes of {name!r} after those of {self.layers}: a page '
                    f'shows {_LAYERS} origins'
                )
            self.layers.append(name)
        return self.layers.index(name)

    def _prepare(self, title: str, picture: Picture) -> Mapping[str, object]:
        """What the template shows of a picture."""
        common = dict(name=picture.name, href=picture.href)
        if picture.image is None:
            return dict(common, source=None, hidden=0, note=picture.note)
        image = to_levels(picture.image)
        height, width = image.shape[:2]
        drawn, named, hidden = [], [], 0
        for boxes in picture.boxes:
            self.scored |= boxes.scores is not None
            self.named |= boxes.named and len(boxes.texts) > 0
            shapes = _shapes(boxes, self._layer(boxes.layer), width, height)
            hidden += len(boxes.boxes) - len(shapes)
            drawn += shapes
            named.append(f'{boxes.layer}: {_list(shapes)}')
        return dict(
            common,
            source=_encode(image, self.side),
            width=width,
            height=height,
            shapes=drawn,
            hidden=hidden,
            alt=f'{picture.name} image of {title}. ' + '; '.join(named),
        )


def _encode(image: np.ndarray, side: int) -> str:
    """A thumbnail as a data address."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    known, content = cv2.imencode(
        '.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    assert known
    data = base64.b64encode(content.tobytes()).decode()
    return f'data:image/jpeg;base64,{data}'


def _shapes(
    boxes: Boxes, layer: int, width: int, height: int
) -> list[dict[str, object]]:
    """Boxes as the template draws them, the best if they are too many."""
    count = len(boxes.boxes)
    order: Sequence[int] = range(count)
    if boxes.scores is not None:
        order = np.argsort(-boxes.scores, kind='stable').tolist()
    found = []
    size = max(width, height) / 28
    for i in order[:_BOXES]:
        x1, y1, x2, y2 = (float(value) for value in boxes.boxes[i])
        if not np.isfinite([x1, y1, x2, y2]).all():
            continue
        score = None if boxes.scores is None else float(boxes.scores[i])
        text = boxes.texts[i] if len(boxes.texts) else ''
        if score is not None:
            text = f'{text} {score:.2f}'.strip()
        found.append(
            dict(
                layer=layer,
                x=round(x1, 1),
                y=round(y1, 1),
                # SVG draws nothing of a side of 0.
                w=round(max(x2 - x1, 0.5), 1),
                h=round(max(y2 - y1, 0.5), 1),
                # Above the box if there is room, and within the image.
                tx=round(min(max(x1, 0), width - size), 1),
                ty=round(y1 - 0.2 * size if y1 > size else y1 + size, 1),
                size=round(size, 1),
                text=text,
                score=None if score is None else f'{score:.3f}',
                origin=boxes.layer,
                dashed=boxes.dashed,
                named=boxes.named,
            )
        )
    return found


def _list(shapes: Sequence[Mapping[str, object]]) -> str:
    """The boxes for those who do not see them."""
    if not shapes:
        return 'no box'
    texts = [str(shape['text'] or 'a box') for shape in shapes[:_NAMED]]
    more = len(shapes) - len(texts)
    return ', '.join(texts) + (f' and {more} more' if more else '')
