"""Helpers of the benchmark commands, which are one folder up.

A benchmark measures the checkout that it is in, even if another version is installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
