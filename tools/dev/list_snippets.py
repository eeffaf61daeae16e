"""List the commands and Python of the pages, and what tests do with them.

They are run as they stand, on small files (tutorials: with small networks, for
an epoch); or, where that needs downloads or hours, parsed by their tool, with
the configs that they name; or not touched, for the reason in the page.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / 'tests'))

from docs_blocks import PAGES, blocks
from docs_commands import why_not_run


def main() -> None:
    """Print the three lists."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    lists: dict[str, list[str]] = {'run': [], 'parsed': [], 'not touched': []}
    for block in [block for page in PAGES for block in blocks(page)]:
        if block.language == 'python' or block.reason:
            title = 'not touched' if block.reason else 'run'
            line = next(x for x in block.text.splitlines() if x.strip())
            by = block.reason or block.run_by
            lists[title].append(f'{block.page}: {line[:60]} ({by})')
            continue
        for command in block.commands:
            text = f'{block.page}: {" ".join(command)}'
            why = None if block.is_tutorial else why_not_run(command)
            if why is None:
                lists['run'].append(f'{text} ({block.run_by})')
            else:
                lists['parsed'].append(f'{text} ({why[0]}; see {why[1]})')
    for title, lines in lists.items():
        print(f'{len(lines)} are {title}:')
        for text in lines:
            print(f'    {text}')


if __name__ == '__main__':
    main()
