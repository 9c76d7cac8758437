"""One bad cell in each of many files: it costs only its row, and its reject names the place."""

from __future__ import annotations

import random
from pathlib import Path

from fault_data import csv_bytes, digit_rows
from fault_runs import TIMES, predict_here, read_csv

BAD_CELLS = {
    "": "missing",
    "NA": "missing",
    "NaN": "not-finite",
    "inf": "not-finite",
    "-1": "out-of-range",
    "17": "out-of-range",
    "0x10": "not-a-number",
    "1e400": "out-of-range",
    "five": "not-a-number",
}
FILES, ROWS = len(BAD_CELLS) * TIMES, 300


def rows_of(number: int) -> list[list[str]]:
    """Digits from a different start for each file, with ids of their own."""
    start = number * ROWS % 1797
    return [[f"{number:04}-{row[0]}", *row[1:]] for row in digit_rows(start + ROWS)[start:]]


def test_a_bad_cell_in_each_of_many_files_costs_its_row_alone(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311  # seeded, so that it can be done again
    sound, damaged = tmp_path / "sound", tmp_path / "damaged"
    expected = {}
    for folder in (sound, damaged):
        folder.mkdir()
    for number in range(FILES):
        rows, name = rows_of(number), f"{number:04}"
        (sound / f"{name}.csv").write_bytes(csv_bytes(rows))
        at, pixel = chance.randrange(ROWS), chance.randrange(64)
        value = list(BAD_CELLS)[number % len(BAD_CELLS)]
        rows[at][2 + pixel] = value
        (damaged / f"{name}.csv").write_bytes(csv_bytes(rows))
        told = [str(at + 1), str(at + 2), BAD_CELLS[value], f"pixel_{pixel}", value]
        expected[name] = at, [*told, ",".join(rows[at]), *rows[at][:2]]
    assert predict_here(sound, "--output", tmp_path / "sound-out").code == 0
    ran = predict_here(damaged, "--output", tmp_path / "damaged-out")
    assert ran.code == 3
    counts = [ran.summary[f"rows_{name}"] for name in ("in", "predicted", "rejected")]
    assert counts == [FILES * ROWS, FILES * (ROWS - 1), FILES]
    for name, (at, told) in expected.items():
        predictions = f"{name}.predictions.csv"
        whole = (tmp_path / "sound-out" / predictions).read_bytes().splitlines()
        del whole[1 + at]
        assert (tmp_path / "damaged-out" / predictions).read_bytes().splitlines() == whole
        header, reject = read_csv(tmp_path / "damaged-out" / f"{name}.rejects.csv")
        cells = dict(zip(header, reject, strict=True))
        shown = ("row", "line", "reason", "column", "value", "raw", "id", "note")
        assert [cells[column] for column in shown] == told
