"""Faulty CSV files, scored into CSV, so that cells can be compared as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fault_data import csv_bytes, digit_rows
from fault_runs import Job, Ran, assert_ledger, predict_here, read_csv

Row = list[str]


@dataclass(frozen=True)
class ScoredCsv:
    """The result of scoring a CSV: the run, and the rows of its predictions and rejects."""

    ran: Ran
    header: Row
    rows: list[Row]
    rejects: list[dict[str, str]]
    predictions: bytes

    @property
    def code(self) -> int:
        return self.ran.code

    def told(self, *columns: str) -> list[tuple[str, ...]]:
        """Some columns of each reject."""
        return [tuple(reject[column] for column in columns) for reject in self.rejects]

    def places(self) -> list[tuple[int, int, str]]:
        """Row, line and reason of each reject."""
        told = self.told("row", "line", "reason")
        return [(int(row), int(line), reason) for row, line, reason in told]


def score_csv(folder: Path, name: str, data: bytes, *flags: str) -> ScoredCsv:
    """Write the bytes to a file of that name in the folder, score it, and check the counts."""
    source = folder / name
    source.write_bytes(data)
    job = Job(source, folder / "out" / "p.csv", flags)
    job.output.parent.mkdir(exist_ok=True)
    ran = predict_here(*job.arguments)
    assert source.read_bytes() == data
    assert_ledger(job, ran)
    header, *rows = read_csv(job.output) if job.output.exists() else [[]]
    names, *rejects = read_csv(job.rejects) if job.rejects.exists() else [[]]
    return ScoredCsv(
        ran,
        header,
        rows,
        [dict(zip(names, reject, strict=True)) for reject in rejects],
        job.output.read_bytes() if job.output.exists() else b"",
    )


def clean_rows(folder: Path, count: int) -> dict[str, Row]:
    """Return the prediction rows of undamaged digits, by their id."""
    scored = score_csv(folder, "clean.csv", csv_bytes(digit_rows(count)))
    assert (scored.code, scored.rejects) == (0, [])
    assert scored.header[:4] == ["id", "note", "prediction", "confidence"]
    assert len(scored.rows) == count
    return {row[0]: row for row in scored.rows}
