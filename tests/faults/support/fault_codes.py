"""Commands that end in every way a run over files can end, each with its exit code."""

from __future__ import annotations

from pathlib import Path

from fault_data import csv_bytes, digit_rows

ENDINGS: tuple[tuple[tuple[str, ...], int], ...] = (
    (("in.csv", "--output", "out/p.csv", "--max-rejects", "1%"), 0),
    (("in.csv", "--output", "out/p.csv"), 3),
    (("in.csv", "--output", "out/p.csv", "--overwrite", "--pixels", "q{0..63}"), 65),
    (("gone.csv", "in.csv", "--output", "out/"), 66),
    (("in.csv", "--output", "other/p.csv"), 73),
    (("in.csv", "--output", "out/p.csv", "--bundle", "gone.bundle"), 78),
    (("in.csv", "--output", "in.csv"), 2),
)


def prepare(folder: Path) -> None:
    """Write the files that the commands need into the folder in which they run."""
    rows = digit_rows(200)
    rows[7][7] = "?"
    (folder / "in.csv").write_bytes(csv_bytes(rows))
    (folder / "other").write_text("a file, where a folder should be")
