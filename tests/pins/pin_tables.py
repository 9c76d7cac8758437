"""Predictions and rejects as values: columns with their types, and rows."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
SHOWN_ROWS = 100
HEAD = 5
LINE = 100
COMPARED = ("prediction", "confidence", "decision", "cause", "strangeness")


def is_table(name: str) -> bool:
    return name.endswith(SUFFIXES)


def table_facts(path: Path) -> dict[str, Any]:
    """All rows of a table; of one with more than 100 the columns that scoring adds, as text."""
    about, columns, rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    facts = {**about, "columns": columns}
    return {**facts, "rows": rows} if len(rows) <= SHOWN_ROWS else {**facts, **_long(columns, rows)}


def _parquet(path: Path) -> tuple[dict[str, Any], list[list[str]], list[list[Any]]]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    table = file.read()
    codecs = {
        file.metadata.row_group(group).column(column).compression
        for group in range(file.metadata.num_row_groups)
        for column in range(file.metadata.num_columns)
    }
    columns = [[one.name, str(one.type)] for one in table.schema]
    values = [[_plain(cell) for cell in column.to_pylist()] for column in table.columns]
    rows = [list(row) for row in zip(*values, strict=True)]
    about = {"row_groups": file.metadata.num_row_groups, "codecs": sorted(codecs)}
    return about, columns, rows


def _csv(path: Path) -> tuple[dict[str, Any], list[list[str]], list[list[Any]]]:
    import pyarrow as pa

    about: dict[str, Any] = {}
    data = path.read_bytes()
    if path.suffix == ".gz":
        about["gzip_header"] = data[:10].hex()
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        with pa.input_stream(path, compression="zstd") as stream:
            data = stream.read()
    about["line_ends"] = "CRLF" if b"\r\n" in data else "LF"
    header, *rows = csv.reader(data.decode().splitlines(keepends=True))
    return about, [[name, "text"] for name in header], rows


def _plain(cell: Any) -> Any:
    """A cell as JSON has it."""
    if isinstance(cell, dict | list | int | float | str | None):
        return cell
    return str(cell)


def _long(columns: list[list[str]], rows: list[list[Any]]) -> dict[str, Any]:
    names = [name for name, _ in columns]
    others = [place for place, name in enumerate(names) if name not in COMPARED]
    passed = json.dumps([[row[place] for place in others] for row in rows])
    return {
        "row_count": len(rows),
        "rows": rows[:HEAD],
        "passed_through": hashlib.sha256(passed.encode()).hexdigest(),
        "all": {name: _lines(column) for name, column in _compared(names, rows)},
    }


def _compared(names: list[str], rows: list[list[Any]]) -> list[tuple[str, list[Any]]]:
    return [(name, [row[names.index(name)] for row in rows]) for name in names if name in COMPARED]


def _lines(column: list[Any]) -> list[str]:
    """A column as lines of words, equal ones in a row as `5*WORD`, so that the golden is small."""
    runs = [(word, len(list(run))) for word, run in groupby(map(_word, column))]
    words = [word if length == 1 else f"{length}*{word}" for word, length in runs]
    return textwrap.wrap(" ".join(words), LINE, break_long_words=False, break_on_hyphens=False)


def _word(value: Any) -> str:
    if value is None or value == "":
        return "-"
    return f"{float(value):.5f}" if isinstance(value, float) else str(value)
