"""The columns of predictions: the number of the row, and the pixels as the network saw them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

from batchdigits.predict import main

DIGITS = SAMPLE_DATA / "digits.csv"


def pixels_alone(folder: Path, rows: int = 50) -> Path:
    """A CSV of pixels without any other column."""
    table = (
        pc.read_csv(DIGITS).slice(0, rows).drop_columns(["form_id", "field", "position", "label"])
    )
    pc.write_csv(table, folder / "in.csv")
    return folder / "in.csv"


def scored(source: Path, output: str, *flags: str, code: int = 0) -> pa.Table:
    path = source.with_name(output)
    assert main([str(source), "--output", str(path), "--overwrite", *flags]) == code
    return pq.read_table(path) if path.suffix == ".parquet" else pc.read_csv(path)


@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_without_other_columns_the_number_of_the_row_is_written(
    tmp_path: Path, output: str
) -> None:
    table = scored(pixels_alone(tmp_path), output)
    assert table.column_names[:3] == ["row", "prediction", "confidence"]
    assert table["row"].to_pylist() == list(range(1, 51))
    table = scored(copied(tmp_path), output)
    assert "row" not in table.column_names


def copied(folder: Path) -> Path:
    path = folder / "in.csv"
    path.write_bytes(DIGITS.read_bytes())
    return path


@pytest.mark.parametrize("flags", [("--workers", "1"), ("--workers", "3")])
@pytest.mark.parametrize("output", ["out.parquet", "out.csv"])
def test_rows_are_numbered_as_the_rejects_count_them(
    tmp_path: Path, output: str, flags: tuple[str, str]
) -> None:
    """Over many blocks, with rejects in some: every number is in one of the two files, once."""
    header, *lines = DIGITS.read_text(encoding="utf-8").splitlines()
    lines = lines * 20
    for number in (0, 7, 5000, len(lines) - 1):
        lines[number] = lines[number].replace(",", ";")
    source = tmp_path / "in.csv"
    source.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    table = scored(source, output, "--row-number", *flags, code=3)
    name = f"out.rejects.{output.rpartition('.')[2]}"
    rejects = pq.read_table(tmp_path / name) if "parquet" in name else pc.read_csv(tmp_path / name)
    numbers = [*table["row"].to_pylist(), *rejects["row"].to_pylist()]
    assert rejects["row"].to_pylist() == [1, 8, 5001, len(lines)]
    assert sorted(numbers) == list(range(1, len(lines) + 1))
    assert table["row"].to_pylist() == sorted(table["row"].to_pylist())
    assert table.column_names.index("row") == 4


def test_kept_pixels_are_those_that_the_network_saw(tmp_path: Path) -> None:
    """Scaled as the flags say, in Parquet as a list and in CSV as 64 columns."""
    table = pc.read_csv(pixels_alone(tmp_path))
    seen = np.stack([table[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    grey = tmp_path / "grey.csv"
    scaled = {f"pixel_{i}": np.round(seen[:, i] * 255 / 16, 0) for i in range(64)}
    pc.write_csv(pa.table(scaled), grey)
    expected = np.round(seen * 255 / 16, 0).astype(np.float32) * np.float32(16) / np.float32(255)
    lists = scored(grey, "out.parquet", "--keep-pixels", "--scale", "255")
    assert lists.schema.field("pixels").type == pa.list_(pa.float32(), 64)
    assert (np.array(lists["pixels"].to_pylist(), np.float32) == expected).all()
    columns = scored(grey, "out.csv", "--keep-pixels", "--scale", "255")
    assert columns.column_names[-64:] == [f"pixel_{i}" for i in range(64)]
    written = np.stack([columns[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    assert (written.astype(np.float32) == expected).all()


def test_whole_pixels_are_written_as_whole_numbers(tmp_path: Path) -> None:
    source = pixels_alone(tmp_path, rows=3)
    output = tmp_path / "out.csv.gz"
    assert main([str(source), "--output", str(output), "--keep-pixels"]) == 0
    lines = gzip.decompress(output.read_bytes()).decode().splitlines()
    assert lines[1].split(",")[-64:] == source.read_text(encoding="utf-8").splitlines()[1].split(
        ","
    )


def test_kept_pixels_give_the_same_predictions_again(tmp_path: Path) -> None:
    kept = scored(copied(tmp_path), "out.parquet", "--keep-pixels")
    pq.write_table(kept.select(["pixels"]), tmp_path / "again.parquet")
    again = scored(tmp_path / "again.parquet", "twice.parquet")
    assert again["prediction"].equals(kept["prediction"])
    assert again["confidence"].equals(kept["confidence"])


def test_kept_pixels_take_little_room(tmp_path: Path) -> None:
    """A dictionary of 17 values: 8 bits a pixel at most, before compression."""
    source = copied(tmp_path)
    scored(source, "out.parquet", "--keep-pixels")
    with_pixels = (tmp_path / "out.parquet").stat().st_size
    scored(source, "out.parquet")
    assert with_pixels - (tmp_path / "out.parquet").stat().st_size < 64 * 1797


def test_a_column_with_such_a_name_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pc.read_csv(pixels_alone(tmp_path)).append_column("row", pa.array(range(50)))
    pc.write_csv(table, tmp_path / "in.csv")
    assert main([str(tmp_path / "in.csv")]) == 65
    assert "'row' has the name of an output column" in capsys.readouterr().err
    names = [
        f"x{i}" if name.startswith("pixel_") else "pixel_3"
        for i, name in enumerate(table.column_names)
    ]
    pc.write_csv(table.rename_columns(names), tmp_path / "in.csv")
    assert main([str(tmp_path / "in.csv"), "--keep-pixels"]) == 65
    assert "'pixel_3' has the name of an output column" in capsys.readouterr().err
    assert main([str(tmp_path / "in.csv")]) == 0
