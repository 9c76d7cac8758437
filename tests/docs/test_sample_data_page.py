"""sample_data/README.md: the rows of each file, and the faults of bad.csv."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pages import code, section, table
from paths import SAMPLE_DATA

from batchdigits.files.names import DATA_SUFFIXES

PAGE = (SAMPLE_DATA / "README.md").read_text(encoding="utf-8")


def test_the_faults_of_the_bad_sample_get_what_its_page_says(scored_folder: Path) -> None:
    rows = table(section(PAGE, "What is wrong with bad.csv"), "line", "row")
    documented = [
        (int(line), int(row), code(reason), *(code(cell) if cell else None for cell in cells))
        for line, row, _, reason, *cells in rows
    ]
    written = pq.read_table(scored_folder / "out.rejects.parquet").to_pylist()
    names = ("line", "row", "reason", "column", "value")
    # An empty cell is nothing in the table and an empty text in the rejects.
    assert documented == [tuple(row[name] or None for name in names) for row in written]


def test_the_samples_have_the_rows_that_their_page_says(summary: dict[str, Any]) -> None:
    counts = table(section(PAGE, "Sample data"), "file")
    rows = {code(name): int(count.replace(",", "")) for name, count, *_ in counts}
    tracked = {path.name for path in SAMPLE_DATA.iterdir()} - _outputs()
    assert rows.keys() == {name for name in tracked if name.endswith(DATA_SUFFIXES)}
    assert rows["digits.parquet"] == pq.read_metadata(SAMPLE_DATA / "digits.parquet").num_rows
    assert rows["bad.csv"] == summary["rows_in"]
    assert rows["digits-uci.csv"] == len((SAMPLE_DATA / "digits-uci.csv").read_text().splitlines())
    assert rows["digits.csv"] == len((SAMPLE_DATA / "digits.csv").read_text().splitlines()) - 1


def _outputs() -> set[str]:
    """What somebody who followed the README left there."""
    patterns = ("*.predictions.*", "*.rejects.*", "*.receipt.json")
    return {path.name for pattern in patterns for path in SAMPLE_DATA.glob(pattern)}
