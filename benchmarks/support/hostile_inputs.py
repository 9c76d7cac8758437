"""Generators of hostile input files: small ones that cost a naive reader much.

Each generator writes its files into an empty folder and returns the words of the command to run
there, after `batchdigits`. Its name and the first line of its docstring describe it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]
HEADER = ",".join(PIXEL_NAMES) + "\n"
ROW = ",".join(str(i % 17) for i in range(64)) + "\n"
CSV = ["predict", "in.csv", "--allow-suspect"]
PARQUET = ["predict", "in.parquet", "--allow-suspect"]


def alternating_quotes(folder: Path) -> list[str]:
    """Write 200,000 lines of which each opens a quote that the next one closes."""
    (folder / "in.csv").write_text(HEADER + 'a","c\n' * 200_000)
    return CSV


def doubled_quotes(folder: Path) -> list[str]:
    """Write lines that open a quote under 1,900 columns, so that many cells may follow."""
    header = HEADER.strip() + "," + ",".join(f"c{i}" for i in range(1_900)) + "\n"
    (folder / "in.csv").write_text(header + 'a","c\n' * 100_000)
    return CSV


def open_quotes_and_text(folder: Path) -> list[str]:
    """Write quotes that stay open over a kilobyte of text each."""
    text = "x" * 1000
    (folder / "in.csv").write_text(HEADER + f'a","{text}\n' * 4000)
    return CSV


def many_csv_columns(folder: Path) -> list[str]:
    """Write 20,000 columns and 16,000 lines of one letter."""
    header = HEADER.strip() + "," + ",".join(f"c{i}" for i in range(20_000)) + "\n"
    (folder / "in.csv").write_text(header + "x\n" * 16_000)
    return CSV


def as_many_csv_columns_as_pass(folder: Path) -> list[str]:
    """Write 1,900 columns and 16,000 lines of one letter."""
    header = HEADER.strip() + "," + ",".join(f"c{i}" for i in range(1_900)) + "\n"
    (folder / "in.csv").write_text(header + ROW.strip() + ",1" * 1_900 + "\n" + "x\n" * 16_000)
    return CSV


def alternating_comments(folder: Path) -> list[str]:
    """Write 400,000 comments, each with a blank line behind it."""
    (folder / "in.csv").write_text(HEADER + ROW + "#\n\n" * 400_000)
    return [*CSV, "--comment", "#"]


def aligned_blanks(folder: Path) -> list[str]:
    """Write 30 MB of blanks between the cells of aligned columns."""
    row = (" " * 9000).join(str(i % 17) for i in range(64)) + "\n"
    (folder / "in.csv").write_text(HEADER.replace(",", " ") + row * 50)
    return [*CSV, "--delimiter", "whitespace"]


def long_numbers(folder: Path) -> list[str]:
    """Write cells of 400 and of 10,000 digits."""
    cells = ["9" * 400, "0." + "0" * 10_000 + "1", "1e" + "9" * 400, *["1"] * 61]
    (folder / "in.csv").write_text(HEADER + ROW + (",".join(cells) + "\n") * 1000)
    return [*CSV, "--max-rejects", "9" * 400]


def one_line_of_300_mb(folder: Path) -> list[str]:
    """Compress one line of 300 MB to a few hundred kilobytes."""
    import gzip

    with gzip.open(folder / "in.csv.gz", "wb", 6) as file:
        file.write((HEADER + ROW).encode())
        for _ in range(300):
            file.write(b"1," * (1 << 19))
    return ["predict", "in.csv.gz", "--allow-suspect"]


def many_parquet_columns(folder: Path) -> list[str]:
    """Write 40,000 columns."""
    _write(folder, 5, {f"c{i}": [1] * 5 for i in range(40_000)})
    return PARQUET


def as_many_parquet_columns_as_pass(folder: Path) -> list[str]:
    """Write 1,900 columns of nulls to be written as CSV."""
    import pyarrow as pa

    _write(folder, 8_000, {f"c{i}": pa.nulls(8_000) for i in range(1_900)})
    return [*PARQUET, "--output", "out.csv"]


def a_long_run_in_a_list(folder: Path) -> list[str]:
    """Write lists of 20 million equal values."""
    import numpy as np
    import pyarrow as pa

    offsets = pa.array([0, *(20_000_000 * (i + 1) for i in range(10))], pa.int64())
    flat = pa.array(np.zeros(200_000_000, np.int8))
    _write(folder, 10, {"runs": pa.LargeListArray.from_arrays(offsets, flat)})
    return PARQUET


def a_long_run_of_pixels(folder: Path) -> list[str]:
    """Write one list of pixels with 200 million values."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.zeros(200_000_000, np.uint8))
    lists = pa.LargeListArray.from_arrays(pa.array([0, 200_000_000], pa.int64()), flat)
    pq.write_table(pa.table({"pixels": lists}), folder / "in.parquet", compression="zstd")
    return PARQUET


def one_long_text(folder: Path) -> list[str]:
    """Write a text of a megabyte that 100,000 rows share."""
    import pyarrow as pa

    indices = pa.array([0] * 100_000, pa.int32())
    text = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (1 << 20)]))
    _write(folder, 100_000, {"note": text}, store_schema=False)
    return [*PARQUET, "--output", "out.parquet"]


def one_long_text_as_csv(folder: Path) -> list[str]:
    """Write a dictionary column of a text of a megabyte, to be written as CSV."""
    import pyarrow as pa

    indices = pa.array([0] * 100_000, pa.int32())
    text = pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (1 << 20)]))
    _write(folder, 100_000, {"note": text})
    return [*PARQUET, "--output", "out.csv"]


def names_that_are_no_text(folder: Path) -> list[str]:
    """Write a column whose name is not UTF-8."""
    _write(folder, 5, {"name-qqqq": [1] * 5})
    path = folder / "in.parquet"
    path.write_bytes(path.read_bytes().replace(b"name-qqqq", b"name-\xff\xfe\xfd\xfc"))
    return PARQUET


def text_that_is_no_text(folder: Path) -> list[str]:
    """Write a text column whose bytes are not UTF-8, to be written as CSV."""
    import pyarrow as pa

    binary = pa.array([b"\xff\xfe"] * 5, pa.binary())
    _write(folder, 5, {"note": binary.view(pa.string())})
    return [*PARQUET, "--output", "out.csv"]


def unknown_time_zone(folder: Path) -> list[str]:
    """Write timestamps of a time zone that does not exist, to be written as CSV."""
    import pyarrow as pa

    times = pa.array([0] * 5, pa.timestamp("us", "Mars/Olympus_Mons"))
    _write(folder, 5, {"at": times})
    return [*PARQUET, "--output", "out.csv"]


def years_beyond_text(folder: Path) -> list[str]:
    """Write dates that no text can show, to be written as CSV."""
    import pyarrow as pa

    _write(folder, 5, {"day": pa.array([2_000_000_000] * 5, pa.int32()).view(pa.date32())})
    return [*PARQUET, "--output", "out.csv"]


def _write(folder: Path, rows: int, columns: dict[str, Any], **how: Any) -> None:
    """Write in.parquet with 64 pixel columns and others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pixels = {name: pa.array([i % 17] * rows, pa.uint8()) for i, name in enumerate(PIXEL_NAMES)}
    pq.write_table(pa.table({**pixels, **columns}), folder / "in.parquet", **how)


KINDS = (
    alternating_quotes,
    doubled_quotes,
    open_quotes_and_text,
    many_csv_columns,
    as_many_csv_columns_as_pass,
    alternating_comments,
    aligned_blanks,
    long_numbers,
    one_line_of_300_mb,
    many_parquet_columns,
    as_many_parquet_columns_as_pass,
    a_long_run_in_a_list,
    a_long_run_of_pixels,
    one_long_text,
    one_long_text_as_csv,
    names_that_are_no_text,
    text_that_is_no_text,
    unknown_time_zone,
    years_beyond_text,
)
