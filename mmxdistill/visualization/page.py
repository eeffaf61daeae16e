"""One self-contained HTML page: facts, tables, plots and pictures.

Everything is in the file, and nothing is asked of the network: a content
security policy forbids it, and every script but the page's own.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mmxdistill.atomic import atomic_write
from mmxdistill.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['Cell', 'Page', 'link', 'printable', 'render']

# A number at the start of a cell: '12.3', '12.3 ± 0.4', '12.3 %'.
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?=$| )')
_UNPRINTABLE = re.compile(
    '[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]'
)
_ROWS = 5000
# Stands for the colour of the text around in a plot, and is nobody's choice.
_INK = '#010203'
_SVG_IDS = re.compile(r'(\bid="|url\(#|xlink:href="#)')


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: What is shown.
        href: Where it leads, as :func:`link` makes it.
        muted: Whether it says that something is missing.
        links: More links, text -> address, shown below each other.
    """

    text: str
    href: str | None = None
    muted: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def number(self) -> str | None:
        """What the cell is sorted by, if it starts with a number."""
        found = _NUMBER.match(self.text)
        return found and found[0]


Value = Cell | str | int | float


@dataclass(frozen=True)
class _Block:
    """A part of a section; ``kind`` names the macro that shows it."""

    kind: str
    values: dict[str, Any]


@dataclass(frozen=True)
class _Section:
    title: str
    anchor: str
    blocks: list[_Block] = field(default_factory=list)


class Page:
    """Builds the page from above to below.

    Args:
        title (str): Title.
        lead (str): What the page shows, in a sentence or two.

    Examples:
        >>> page = Page('Runs', 'What the runs of this week gave.')
        >>> page.section('Precision')
        >>> page.table(['run', 'mAP (%)'], [['a', 31.5], ['b', 30.25]])
        >>> page.write('runs.html')
    """

    def __init__(self, title: str, lead: str = '') -> None:
        self.title = title
        self.lead = lead
        self.sections = [_Section('', 'top')]
        self._plots = 0

    def section(self, title: str) -> None:
        """Start a section; what follows is in it."""
        self.sections.append(_Section(title, f's{len(self.sections)}'))

    def text(self, text: str) -> None:
        """Add text; empty lines separate paragraphs."""
        paragraphs = [p for p in re.split(r'\n\s*\n', text) if p.strip()]
        self._add('text', paragraphs=paragraphs)

    def facts(self, facts: Mapping[str, Value]) -> None:
        """Add names and values."""
        self._add('facts', facts={n: _cell(v) for n, v in facts.items()})

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[Value]],
        caption: str = '',
        limit: int = _ROWS,
    ) -> None:
        """Add a table, which readers can sort and filter.

        Args:
            header (Sequence[str]): Names of the columns.
            rows (Iterable[Sequence]): Numbers, texts or :class:`Cell`.
            caption (str): Text above. Defaults to none.
            limit (int): More rows are left out, and counted. Defaults to
                5000.
        """
        shown: list[list[Cell]] = []
        left_out = 0
        for row in rows:
            if len(shown) < limit:
                shown.append([_cell(value) for value in row])
            else:
                left_out += 1
        numeric = [
            bool(shown)
            and all(
                row[i].number or row[i].muted or row[i] == Cell('')
                for row in shown
            )
            and any(row[i].number for row in shown)
            for i in range(len(header))
        ]
        self._add(
            'table',
            header=list(zip(header, numeric, strict=True)),
            rows=shown,
            caption=caption,
            left_out=left_out,
        )

    def plot(self, figure: Figure, alt: str, caption: str = '') -> None:
        """Add a figure of matplotlib, as SVG in the colours of the page.

        Black and white of matplotlib's default style become the colours of
        the text and of the page.

        Args:
            figure (Figure): The figure; its colours are changed.
            alt (str): What it shows, for those who do not see it.
            caption (str): Text below. Defaults to none.
        """
        self._plots += 1
        svg = _to_svg(figure, f'p{self._plots}-')
        self._add('plot', svg=svg, alt=alt, caption=caption)

    def gallery(self, gallery: Any) -> None:
        """Add pictures: a :class:`~mmxdistill.visualization.Gallery`."""
        self._add('gallery', gallery=gallery)

    def html(self) -> str:
        """The page."""
        script = _source('page.js')
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest())
        return str(
            render(
                'page.html',
                page=self,
                style=Markup(_source('page.css')),
                script=Markup(script),
                digest=digest.decode(),
                version=__version__,
                day=date.today().isoformat(),
            )
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page, completely or not at all."""
        content = self.html().encode()
        with atomic_write(path) as file:
            file.write(content)

    def _add(self, kind: str, **values: Any) -> None:
        self.sections[-1].blocks.append(_Block(kind, values))


def _cell(value: Value) -> Cell:
    if isinstance(value, Cell):
        return value
    return Cell(f'{value:g}' if isinstance(value, float) else str(value))


def printable(value: Any) -> Any:
    r"""Replace what no page can hold: ``b'\xff'`` in a name becomes \\xff.

    Args:
        value (Any): A text; others are returned as they are.
    """
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return _UNPRINTABLE.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is not UTF-8
        code -= 0xDC00
    return f'\\x{code:02x}' if code < 0x100 else f'\\u{code:04x}'


def link(path: str | os.PathLike[str], page: str | os.PathLike[str]) -> str:
    """Address of a file for a link on a page.

    It is relative if both lie in the working directory, so that they can move
    together; else it is that of the file on this machine.

    Args:
        path (str or PathLike): The file; its name may be any bytes.
        page (str or PathLike): Where the page will be written.

    Returns:
        str: An address, quoted.
    """
    target, home = Path(os.path.abspath(path)), Path(os.path.abspath(page))
    here = Path.cwd()
    if not (target.is_relative_to(here) and home.is_relative_to(here)):
        return target.as_uri()
    relative = os.path.relpath(target, home.parent)
    # As an absolute one to have it quoted, then without its beginning.
    parts = Path(relative).parts
    up = sum(part == '..' for part in parts)
    return '../' * up + Path('/', *parts[up:]).as_uri()[len('file:///') :]


def _to_svg(figure: Figure, prefix: str) -> Markup:
    """A figure as SVG whose names are its own on the page."""
    import matplotlib as mpl
    from matplotlib.artist import Artist
    from matplotlib.colors import to_hex
    from matplotlib.text import Text

    def repaint(artist: Artist) -> None:
        for name in ('color', 'edgecolor', 'facecolor'):
            get = getattr(artist, f'get_{name}', None)
            if get is None:
                continue
            try:
                known = to_hex(get(), keep_alpha=True)
            except (TypeError, ValueError):  # several colours
                continue
            if known == '#000000ff':
                artist.set(**{name: _INK})

    for artist in figure.findobj():
        repaint(artist)
        if isinstance(artist, Text):
            artist.set_text(printable(artist.get_text()))
    for axes in figure.axes:
        axes.set_facecolor('none')
        axes.tick_params(color=_INK, labelcolor=_INK, which='both')
    figure.patch.set_alpha(0)
    file = io.StringIO()
    settings: Any = {'svg.fonttype': 'none', 'svg.hashsalt': prefix}
    with mpl.rc_context(settings):
        figure.savefig(file, format='svg', metadata={'Date': None})
    svg = file.getvalue()
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'<style.*?</style>', '', svg, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)(width|height)="[^"]*"', r'<svg \1', svg)
    svg = re.sub(r'<svg ([^>]*?)(width|height)="[^"]*"', r'<svg \1', svg)
    svg = _SVG_IDS.sub(rf'\g<1>{prefix}', svg)
    return Markup(svg.replace(_INK, 'currentColor'))


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader('mmxdistill.visualization'),
        autoescape=True,
        finalize=printable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _source(name: str) -> str:
    folder = Path(__file__).parent / 'templates'
    return (folder / name).read_text(encoding='utf-8')


def render(template: str, **values: Any) -> Markup:
    """Fill a template of this package.

    Args:
        template (str): Name of the file.
        **values: What it shows; texts are escaped.

    Returns:
        Markup: HTML.
    """
    return Markup(_environment().get_template(template).render(**values))
