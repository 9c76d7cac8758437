"""Predictions of cells with their rejects and receipt, written as predict writes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq


@dataclass
class Cell:
    """A cell: the values of its group and position; `digit` is None for a rejected one."""

    group: str | None
    position: int | None
    digit: str | None
    confidence: float = 0.9
    decision: str = "accept"
    reason: str = "out-of-range"
    proba: dict[str, float] = field(default_factory=dict)


def write_cells(
    path: Path,
    cells: list[Cell],
    *,
    classes: str = "",
    receipt: bool = True,
    rows_in: int = -1,
    group: str = "form",
) -> Path:
    """Write the cells as `path`, CSV or Parquet by its suffix; returns `path`."""
    read = [cell for cell in cells if cell.digit is not None]
    predictions = pa.table(
        {
            group: pa.array([cell.group for cell in read], pa.string()),
            "position": pa.array([cell.position for cell in read], pa.int32()),
            "prediction": pa.array([int(cell.digit or 0) for cell in read], pa.int64()),
            "confidence": pa.array([cell.confidence for cell in read], pa.float32()),
            "decision": pa.array([cell.decision for cell in read], pa.string()),
            **{
                f"proba_{name}": pa.array(
                    [cell.proba.get(name, 0.0) for cell in read], pa.float32()
                )
                for name in classes
            },
        }
    )
    lost = [(row, cell) for row, cell in enumerate(cells, start=1) if cell.digit is None]
    rejects = pa.table(
        {
            group: pa.array([cell.group for _, cell in lost], pa.string()),
            "position": pa.array([cell.position for _, cell in lost], pa.int32()),
            "row": pa.array([row for row, _ in lost], pa.int64()),
            "reason": pa.array([cell.reason for _, cell in lost], pa.string()),
        }
    )
    stem, suffix = path.name.split(".")[0], path.suffix
    rejects_path = path.with_name(f"{stem}.rejects{suffix}")
    _write(path, predictions)
    if lost:
        _write(rejects_path, rejects)
    if receipt:
        facts = {
            "format": 1,
            "rows_in": len(cells) if rows_in < 0 else rows_in,
            "outputs": {
                "predictions": _entry(path),
                "rejects": _entry(rejects_path) if lost else None,
            },
        }
        path.with_name(f"{stem}.receipt.json").write_text(json.dumps(facts))
    return path


def _probabilities(cells: list[Cell], name: str) -> pa.Array:
    return pa.array([cell.proba.get(name, 0.0) for cell in cells], pa.float32())


def _write(path: Path, table: pa.Table) -> None:
    if path.suffix == ".csv":
        pc.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=1000)


def _entry(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"path": path.name, "sha256": digest, "bytes": len(data)}
