"""Write the model index: model-index.yml, metafiles and tables of configs.

All figures are read from the configs, the rows of the paper and the tables in
docs/results. With --check nothing is written; the exit status is 1 if a file
is not what it should be.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmxdistill.cli import run_command


def main(argv: list[str] | None = None) -> int:
    """Write or check the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--check', action='store_true', help='write nothing, only compare'
    )
    args = parser.parse_args(argv)
    from mmxdistill.studies.model_index import collect_models, index_files

    stale = 0
    for name, text in index_files(collect_models(ROOT)).items():
        path = ROOT / name
        if path.is_file() and path.read_text('utf-8') == text:
            continue
        stale += 1
        print(f'{name} is {"not up to date" if args.check else "written"}')
        if not args.check:
            path.write_text(text, 'utf-8')
    return min(stale, 1) if args.check else 0


if __name__ == '__main__':
    run_command(main)
