"""What `bundles diff` shows; the whole of it is seen in tests/bundles/test_diff.py."""

from __future__ import annotations

from pathlib import Path

from labelled_rows import compared, write

from batchdigits.report.comparison import _figures


def test_an_old_bundle_without_any_probability_has_no_speed_to_compare(tmp_path: Path) -> None:
    """There is no dividing by its 0 rows per second."""
    comparison = compared(write(tmp_path / "rows.parquet", [(0, 0, 0, 16)], label=[0]))
    assert comparison.old.as_facts()["rows_per_second"] == 0
    assert _figures(comparison).splitlines()[-1].split()[:-1] == ["rows/s,", "one", "thread", "0"]
