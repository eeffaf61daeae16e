"""Puts the checkout that a tool lies in on the path, if it lies in one."""

import sys
from pathlib import Path

_root = Path(__file__).resolve().parents[2]
if (_root / 'mmxdistill' / '__init__.py').is_file():
    sys.path.insert(0, str(_root))
