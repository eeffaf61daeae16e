"""Strict reading of the HTML pages that the package writes."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import cv2
import numpy as np

_VOID = {'br', 'hr', 'img', 'input', 'link', 'meta'}
# Elements of SVG that a page may close at once.
_SVG = {'g', 'path', 'use', 'rect', 'circle', 'line', 'ellipse', 'polygon'}


class PageReader(HTMLParser):
    """Everything that tests want to know of a page.

    Attributes:
        texts: Text without the mark-up, by element.
        links: Addresses of links.
        images: Embedded pictures, decoded, with their alternative texts.
        rects: Attributes of the boxes that are drawn.
        rows: Cells of all tables.
    """

    def __init__(self, content: str, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.texts: list[str] = []
        self.links: list[str] = []
        self.images: list[tuple[np.ndarray, str]] = []
        self.rects: list[dict[str, str]] = []
        self.rows: list[list[str]] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self._ids: list[str] = []
        self._wanted: set[str] = set()
        assert content.startswith('<!DOCTYPE html>')
        assert not re.search('[\ud800-\udfff\x00-\x08\x0b-\x1f]', content)
        self.feed(content)
        self.close()
        assert self._open == [], f'not closed: {self._open}'
        assert len(set(self._ids)) == len(self._ids), 'an id is there twice'
        assert self._wanted <= set(self._ids), 'a link within leads nowhere'
        assert len(self.scripts) == 1

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f'{tag}: {names}'
        assert not any(name.startswith('on') for name in names)
        if tag not in _VOID:
            self._open.append(tag)
        self._look(tag, {name: value or '' for name, value in attrs})

    def handle_startendtag(self, tag, attrs):
        assert tag in _SVG and 'svg' in self._open, f'<{tag}/>'
        self._look(tag, {name: value or '' for name, value in attrs})

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, (tag, self._open[-3:])
        self._open.pop()

    def handle_data(self, data):
        if self._open[-1:] == ['script']:
            self.scripts.append(data)
        elif self._open[-1:] != ['style'] and data.strip():
            self.texts.append(data.strip())
            if {'td', 'th'} & set(self._open):
                self.rows[-1][-1] += data.strip()

    def _look(self, tag, attrs):
        if 'id' in attrs:
            self._ids.append(attrs['id'])
        for name in ('href', 'xlink:href'):
            if attrs.get(name, '').startswith('#'):
                self._wanted.add(attrs[name][1:])
        self._wanted |= set(re.findall(r'url\(#(.*?)\)', str(attrs)))
        match tag:
            case 'a' if not attrs['href'].startswith('#'):
                self.links.append(attrs['href'])
            case 'img':
                head, _, data = attrs['src'].partition(',')
                assert head == 'data:image/jpeg;base64'
                content = np.frombuffer(base64.b64decode(data), np.uint8)
                image = cv2.imdecode(content, cv2.IMREAD_COLOR)
                assert image is not None
                assert attrs['alt']
                self.images.append((image, attrs['alt']))
            case 'rect' if 'class' in attrs:
                self.rects.append(attrs)
            case 'tr':
                self.rows.append([])
            case 'td' | 'th':
                self.rows[-1].append('')

    @property
    def files(self) -> list[bytes]:
        """Paths of the files that links lead to."""
        found = []
        for href in self.links:
            parts = urlsplit(href)
            assert parts.scheme in ('', 'file'), href
            path = unquote_to_bytes(parts.path)
            found.append(
                str(self.folder).encode() + b'/' + path
                if not parts.scheme
                else path
            )
        return found


def read_page(path: Path) -> PageReader:
    """Read a page; fails if anything of it is not as it must be."""
    return PageReader(path.read_bytes().decode('utf-8'), path.parent)
