"""Makes the files of this folder anew, from scikit-learn's copy of the UCI digits.

python sample_data/make.py        # needs the train extra
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent
FIELDS = ("day", "month", "year", "amount")
CELLS_OF_A_FIELD = 4

FAULTS = (
    ("too few cells", lambda cells: cells[:-3]),
    ("too many cells", lambda cells: [*cells, "1"]),
    ("a quote that never closes", lambda cells: [f'"{cells[0]}', *cells[1:]]),
    ("a blank line", lambda _: []),
    ("the header once more", lambda _: HEADER),
    ("an empty cell", lambda cells: with_pixel(cells, 9, "")),
    ("NA", lambda cells: with_pixel(cells, 10, "NA")),
    ("NaN", lambda cells: with_pixel(cells, 11, "NaN")),
    ("infinity", lambda cells: with_pixel(cells, 12, "inf")),
    ("a letter O for a zero", lambda cells: with_pixel(cells, 13, "O")),
    ("hexadecimal", lambda cells: with_pixel(cells, 14, "0x10")),
    ("an exponent beyond float64", lambda cells: with_pixel(cells, 15, "1e400")),
    ("a decimal comma", lambda cells: with_pixel(cells, 16, '"6,5"')),
    ("a negative pixel", lambda cells: with_pixel(cells, 17, "-1")),
    ("a pixel above 16", lambda cells: with_pixel(cells, 18, "17")),
    ("bytes that are not UTF-8", lambda cells: [cells[0], "d\udce4y", *cells[2:]]),
)
HEADER = ["form_id", "field", "position", "label", *(f"pixel_{i}" for i in range(64))]


def main() -> None:
    """Write every file."""
    digits = load_digits()
    table = labelled_table(digits.data.astype(np.uint8), digits.target)
    pa.parquet.write_table(table, FOLDER / "digits.parquet", compression="zstd")
    options = pa.csv.WriteOptions(quoting_style="none", quoting_header="none")
    pa.csv.write_csv(table, FOLDER / "digits.csv", options)
    pixels = table.select([f"pixel_{i}" for i in range(64)])
    options = pa.csv.WriteOptions(include_header=False)
    pa.csv.write_csv(pixels, FOLDER / "digits-uci.csv", options)
    write_bad((FOLDER / "digits.csv").read_text().splitlines())


def labelled_table(pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> pa.Table:
    """The digits as cells of forms: 16 cells a form, four fields of four positions."""
    cell = np.arange(len(labels))
    field = cell // CELLS_OF_A_FIELD % len(FIELDS)
    form = cell // (CELLS_OF_A_FIELD * len(FIELDS))
    columns = {
        "form_id": pa.array([f"{number:06d}" for number in form]),
        "field": pa.array(FIELDS).take(pa.array(field)),
        "position": pa.array((cell % CELLS_OF_A_FIELD + 1).astype(np.int8)),
        "label": pa.array(labels.astype(np.int8)),
    }
    columns |= {f"pixel_{i}": pa.array(np.ascontiguousarray(pixels[:, i])) for i in range(64)}
    return pa.table(columns)


def write_bad(lines: list[str]) -> None:
    """A good row, then a bad one, and so on; odd spellings of good cells behind them."""
    rows = [line.split(",") for line in lines[1:]]
    out = [",".join(HEADER)]
    for i, (_, damage) in enumerate(FAULTS):
        out += [",".join(rows[2 * i]), ",".join(damage(rows[2 * i + 1]))]
    last = 2 * len(FAULTS)
    out.append(",".join(with_pixel(rows[last], 3, '"13"')))
    out.append(",".join(with_pixel(rows[last + 1], 3, " 13 ")))
    out.append(",".join(with_pixel(rows[last + 2], 3, "13.0")))
    out.append(",".join([rows[last + 3][0], '"amount, in\nwords"', *rows[last + 3][2:]]))
    text = "\n".join(out) + "\n"
    (FOLDER / "bad.csv").write_bytes(text.encode("utf-8", "surrogateescape"))


def with_pixel(cells: list[str], pixel: int, text: str) -> list[str]:
    """The cells of a row with another text for one pixel."""
    at = len(cells) - 64 + pixel
    return [*cells[:at], text, *cells[at + 1 :]]


if __name__ == "__main__":
    main()
