"""docs/reference/inputs.md: suffixes, spellings of pixel columns, cells, suspicion."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pages import code, codes, reference, section, table

import batchdigits
from batchdigits.files.names import COMPRESSIONS, FORMATS, SEARCHED_SUFFIXES
from batchdigits.monitoring import evidence, judge, suspicion
from batchdigits.rows.pixels import LIST_COLUMN, SPELLINGS

PAGE = reference("inputs")
FILES = section(PAGE, "Files")
CELLS = table(section(PAGE, "Pixels"), "cell")
HEADER = ",".join(f"pixel_{i}" for i in range(64))


def test_suffixes_are_read_as_the_table_says() -> None:
    rows = {row[0]: tuple(codes(row[1])) for row in table(FILES, "format")}
    del rows["any other suffix"]
    expected = {}
    for facts in FORMATS.values():
        expected[facts.title] = facts.suffixes
        for compression in facts.compressions:
            expected[f"{facts.title}, {COMPRESSIONS[compression]}"] = (f".{compression}",)
    assert rows == expected
    (folder,) = (row[1] for row in table(FILES, "argument") if row[0] == "a folder")
    assert codes(folder) == list(SEARCHED_SUFFIXES)


def test_spellings_of_pixel_columns_are_all_there() -> None:
    rows = table(section(PAGE, "Pixel columns"), "spelling")
    documented = [" … ".join(codes(row[0])) for row in rows]
    assert documented == [*(spelling.example for spelling in SPELLINGS), LIST_COLUMN]


def test_suspicion_begins_where_the_page_says() -> None:
    text = section(PAGE, "Suspicious inputs")
    assert f"first {suspicion.JUDGED_ROWS:,} rows" in text
    assert f"{judge.FEW_ROWS} rows, or of {judge.MANY_ROWS:,}" in text
    enough = next(n for n in range(1, 99) if evidence.is_proof(n, n, evidence.FAR_SHARE))
    assert enough == 11
    assert "eleven rows" in text


def test_pixel_cells_are_read_as_the_table_says(tmp_path: Path) -> None:
    cells = ["" if row[0] == "(empty)" else code(row[0]).replace("·", " ") for row in CELLS]
    lines = [HEADER, *(",".join([cell, *["0"] * 62, "1"]) for cell in cells)]
    path = tmp_path / "cells.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    summary = batchdigits.score(path, allow_suspect=True)  # there is next to no ink in them
    assert summary.rows_in == len(CELLS)
    with (tmp_path / "cells.rejects.csv").open(encoding="utf-8", newline="") as file:
        reasons = {int(reject["row"]): reject["reason"] for reject in csv.DictReader(file)}
    expected = {n: code(row[1]) for n, row in enumerate(CELLS, start=1) if "`" in row[1]}
    assert reasons == expected


def test_spelt_out_missing_values_are_missing(tmp_path: Path) -> None:
    """The words that the table lists beside NA, in both cases of letters."""
    (row,) = (row for row in CELLS if row[0] == "`NA`")
    words = [word for word in codes(row[1]) if word != "missing"]
    assert len(words) > 5
    lines = [HEADER, ",".join(["5"] * 64)]
    lines += [",".join([word, *["0"] * 63]) for w in words for word in (w.lower(), w.upper())]
    path = tmp_path / "words.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert batchdigits.score(path).reasons == {"missing": 2 * len(words)}


def test_minus_zero_in_a_float_column_is_zero(tmp_path: Path) -> None:
    columns = {f"pixel_{i}": pa.array([-0.0, 0.0]) for i in range(64)}
    pq.write_table(pa.table(columns), tmp_path / "zeros.parquet")
    assert batchdigits.score(tmp_path / "zeros.parquet").rows_predicted == 2
    scored = pq.read_table(tmp_path / "zeros.predictions.parquet")
    assert len(scored.group_by(["prediction", "confidence"]).aggregate([])) == 1
