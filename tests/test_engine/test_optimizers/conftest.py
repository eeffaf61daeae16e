"""Makes ``solver.py``, and the helpers of the tests of models, importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / 'test_models')]
