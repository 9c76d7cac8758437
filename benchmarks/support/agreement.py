"""Whether two programs predicted the same for the same rows."""

from __future__ import annotations

import sys
from pathlib import Path

from support.measure import run

# In a process of its own: a child's peak memory starts at its parent's.
_COMPARE = """
import sys, numpy as np, pyarrow.parquet as pq
ours, theirs = (pq.read_table(path, columns=["id", "prediction", "confidence"]).sort_by("id")
                for path in sys.argv[1:])
assert ours["id"].to_pylist() == theirs["id"].to_pylist(), "other rows"
equal = np.mean(ours["prediction"].to_numpy() == theirs["prediction"].to_numpy())
worst = np.abs(ours["confidence"].to_numpy() - theirs["confidence"].to_numpy()).max()
print(f"{equal:.6%} of labels equal, confidences within {worst:.1e}")
"""


def agreement(ours: Path, theirs: Path) -> str:
    """Compare two Parquet outputs row by row, by `id`; others may write them in another order."""
    return run([sys.executable, "-c", _COMPARE, ours, theirs]).output.strip()
