"""Four labelled rows that two bundles see differently."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_rows import write


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Old is right on rows 1 and 2, new on 1 and 3, nobody on 4."""
    rows = [(0, 16, 0, 12), (1, 12, 2, 12), (0, 8, 2, 16), (0, 12, 1, 8)]
    columns = {"id": ["007", "008", "009", "010"], "label": [0, 1, 2, 2]}
    return write(tmp_path / "four.parquet", rows, **columns)
