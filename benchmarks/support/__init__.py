"""Helpers of the benchmark commands, which lie one folder up: measuring in turn, the bare parts.

A benchmark measures the checkout that it lies in, also where another version is installed.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
