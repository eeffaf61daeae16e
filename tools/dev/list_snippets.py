"""List the commands and Python blocks of the pages that are run, or why not.

Tests run all of the first list; the second gives the reasons that stand in
the pages.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tests'))

from docs_blocks import PAGES, blocks


def main() -> None:
    """Print both lists."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    found = [block for page in PAGES for block in blocks(page)]
    for title, chosen in (
        ('run', [block for block in found if not block.reason]),
        ('not run', [block for block in found if block.reason]),
    ):
        print(f'{len(chosen)} blocks are {title}:')
        for block in chosen:
            lines = [x for x in block.text.splitlines() if x.strip()]
            by = block.reason or ', '.join(block.run_by)
            print(f'    {block.page}: {lines[0][:60]} ({by})')


if __name__ == '__main__':
    main()
