"""Blocks of code in the pages, and what tests do with each of them.

Python is run by ``tests/test_docs.py``, tutorials with all their commands by
``tests/test_tutorials.py``; ``docs_commands.py`` says what becomes of the
other commands. A block that no test touches has a comment above it that says
why::

    <!-- not run: needs mim, which is not in the test environment -->

``tools/dev/list_snippets.py`` prints all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob('*.md')),
    *sorted((ROOT / 'docs').rglob('*.md')),
]
# Pages whose Python is run by a test of their own.
PAGE_TESTS = {
    'docs/inference.md': 'tests/test_apis/test_users_folder.py',
    'docs/tutorials/own_detector.md': 'tests/test_tutorials.py',
    'docs/tutorials/own_modality.md': 'tests/test_tutorials.py',
}
_BLOCK = re.compile(
    r'(?:^<!-- (?P<note>[^>]*?) -->\n\n?)?^```(?P<language>python|bash)\n'
    r'(?P<text>.*?)^```',
    re.M | re.S,
)
_FILE = re.compile(r'# (mine/\w+\.py)\n')


@dataclass(frozen=True)
class Block:
    """A block.

    Attributes:
        page: Path below the checkout.
        language: python or bash.
        text: What is in it.
        note: The comment above it.
    """

    page: str
    language: str
    text: str
    note: str = ''

    @property
    def reason(self) -> str:
        """Why it is not run; empty if it is."""
        return self.note.removeprefix('not run: ') * self.note.startswith(
            'not run: '
        )

    @property
    def is_tutorial(self) -> bool:
        """Whether a test follows the whole page, block by block."""
        return self.page.startswith('docs/tutorials/')

    @property
    def run_by(self) -> str:
        """Test file that runs it, if it is run."""
        by_page = self.language == 'python' or self.is_tutorial
        return (
            PAGE_TESTS[self.page]
            if by_page and self.page in PAGE_TESTS
            else 'tests/test_docs.py'
        )

    @property
    def file(self) -> str:
        """Name of the file that it is, if the first line says one."""
        found = _FILE.match(self.text)
        return found[1] if found else ''

    @property
    def commands(self) -> list[list[str]]:
        """Words of each command."""
        text = self.text.replace('\\\n', ' ')
        lines = (line.split('#')[0].split() for line in text.split('\n'))
        return [
            list(dropwhile(lambda word: '=' in word, words))
            for words in lines
            if words
        ]


def blocks(page: Path) -> list[Block]:
    """All blocks of Python and bash of a page."""
    name = page.relative_to(ROOT).as_posix()
    return [
        Block(name, found['language'], found['text'], found['note'] or '')
        for found in _BLOCK.finditer(page.read_text('utf-8'))
    ]
