"""Files of square pictures: CSV, Parquet and npy give the same rows; bad rows are rejects."""

import csv
import gzip
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from crops import crop, label
from PIL import Image

from batchdigits.errors import BatchdigitsError, TryAgainError, UnusableInputError, UsageError
from batchdigits.forms.__main__ import main
from batchdigits.forms.crop_source import Judged
from batchdigits.forms.squares.block import SquareOptions
from batchdigits.forms.squares.source import SquareFile
from batchdigits.predict import main as predict

COUNT = 12
NAMES = [f"pixel{i}" for i in range(784)]


def square(number: int) -> np.ndarray:
    """A digit as MNIST has it: 28x28, light on dark, uint8."""
    image = Image.fromarray(crop(number)).resize((28, 28), Image.Resampling.BOX)
    return 255 - np.asarray(image)


SQUARES = np.array([square(number) for number in range(COUNT)])
LABELS = [label(number) for number in range(COUNT)]


def write_csv(path: Path, rows: list[list[Any]], header: bool = True) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["label", *NAMES]] * header + rows)
    return path


def csv_rows() -> list[list[Any]]:
    return [[y, *x.reshape(-1).tolist()] for y, x in zip(LABELS, SQUARES, strict=True)]


def read(path: Path, **options: Any) -> tuple[pa.Table, list[dict[str, Any]]]:
    """The rows and the rejects of a file, made in this process."""
    source = SquareFile(str(path), SquareOptions(**options).checked(), None)
    judged: list[Judged] = [source.judge(block) for block in source.blocks()]
    rejects = [reject for part in judged for reject in part.rejects]
    return pa.Table.from_batches([part.rows for part in judged], source.schema), rejects


def pixels_of(table: pa.Table) -> list[list[int]]:
    rows: list[list[int]] = table["pixels"].to_pylist()
    return rows


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    path = tmp_path_factory.mktemp("squares") / "m.npy"
    np.save(path, SQUARES)
    return pixels_of(read(path)[0])


def test_every_format_gives_the_same_rows(tmp_path: Path, expected: list[list[int]]) -> None:
    write_csv(tmp_path / "m.csv", csv_rows())
    (tmp_path / "m.csv.gz").write_bytes(gzip.compress((tmp_path / "m.csv").read_bytes()))
    write_csv(tmp_path / "bare.csv", csv_rows(), header=False)
    flat = SQUARES.reshape(COUNT, -1)
    columns = {name: flat[:, i] for i, name in enumerate(NAMES)}
    pq.write_table(pa.table({**columns, "label": LABELS}), tmp_path / "columns.parquet")
    lists = {"pixels": pa.array(list(flat)), "label": LABELS}
    pq.write_table(pa.table(lists), tmp_path / "lists.parquet")
    nested = {"scan": pa.array(SQUARES.tolist()), "label": LABELS}
    pq.write_table(pa.table(nested), tmp_path / "nested.parquet")
    np.save(tmp_path / "flat.npy", flat.astype(np.float64))
    np.save(tmp_path / "four.npy", SQUARES[..., np.newaxis])
    cases = {
        "m.csv": {},
        "m.csv.gz": {},
        "bare.csv": {"header": False},
        "columns.parquet": {},
        "lists.parquet": {},
        "nested.parquet": {"pixels": "scan"},
        "flat.npy": {},
        "four.npy": {},
    }
    for name, options in cases.items():
        table, rejects = read(tmp_path / name, **options)
        assert (pixels_of(table), rejects) == (expected, []), name
        assert table["file_row"].to_pylist() == list(range(1, COUNT + 1))
        assert set(table["file"].to_pylist()) == {str(tmp_path / name)}


def test_other_columns_pass_through(tmp_path: Path) -> None:
    pq.write_table(
        pa.table(
            {"pixels": list(SQUARES.reshape(COUNT, -1)), "label": LABELS, "when": [None] * COUNT}
        ),
        tmp_path / "m.parquet",
    )
    table, _ = read(tmp_path / "m.parquet")
    assert table.column_names[:4] == ["file", "file_row", "label", "when"]
    assert table["label"].to_pylist() == LABELS
    text, _ = read(write_csv(tmp_path / "m.csv", csv_rows()))
    assert text["label"].to_pylist() == list(map(str, LABELS))
    bare, _ = read(write_csv(tmp_path / "b.csv", csv_rows(), header=False), header=False)
    assert bare["column_1"].to_pylist() == list(map(str, LABELS))


def test_ten_columns_behind_the_pixels_are_those_of_the_digits(tmp_path: Path) -> None:
    """As Semeion's file has them, with blanks between and at the end of a line."""
    path = tmp_path / "semeion.data"
    one_hot = np.eye(10, dtype=int)[LABELS]
    lines = [
        " ".join(map(str, [*x.reshape(-1), *y])) for x, y in zip(SQUARES, one_hot, strict=True)
    ]
    path.write_text(" \n".join(lines) + " \n")
    table, rejects = read(path, header=False, delimiter=" ")
    assert (table.num_rows, rejects) == (COUNT, [])
    assert table["column_785"].to_pylist() == list(map(str, one_hot[:, 0]))


def test_pixels_of_another_scale_give_nearly_the_same_rows(
    tmp_path: Path, expected: list[list[int]]
) -> None:
    np.save(tmp_path / "ones.npy", SQUARES / 255)
    np.save(tmp_path / "bits.npy", SQUARES > 127)
    assert pixels_of(read(tmp_path / "ones.npy", scale=1)[0]) == expected
    bits = np.array(pixels_of(read(tmp_path / "bits.npy")[0])).astype(int)
    assert np.abs(bits - np.array(expected)).mean() < 1
    with pytest.raises(
        UnusableInputError, match=r"no pixel of its first 12 rows is above 1,.*--sc"
    ):
        read(tmp_path / "ones.npy")


CELLS = csv_rows()[0]
LINES = {
    "too-few-cells": CELLS[:-1],
    "too-many-cells": [*CELLS, 1],
    "blank-line": [],
    "repeated-header": ["label", *NAMES],
    "missing": [*CELLS[:-1], ""],
    "not-finite": [*CELLS[:-1], "nan"],
    "not-a-number": [*CELLS[:-1], "O"],
    "out-of-range": [*CELLS[:-1], 256],
    "all-ink": [1, *[255] * 784],
}


def test_a_bad_line_is_a_reject_with_its_row_and_reason(tmp_path: Path) -> None:
    rows = [row for bad in LINES.values() for row in (csv_rows()[0], bad)]
    path = write_csv(tmp_path / "m.csv", [*rows, csv_rows()[1]])
    data = path.read_bytes().replace(b"\r\n\r\n", b"\r\n \r\n") + b'7,\xff\r\n7,"\n\r\n\r\n'
    path.write_bytes(data)
    source = SquareFile(str(path), SquareOptions(), light_ink=True)
    judged = [source.judge(block) for block in source.blocks()]
    found = {reject["file_row"]: reject["reason"] for part in judged for reject in part.rejects}
    wanted = {2 * (i + 1): reason for i, reason in enumerate(LINES)}
    assert found == wanted | {20: "bad-encoding", 21: "bad-encoding"}
    kept = [row for part in judged for row in part.rows["file_row"].to_pylist()]
    assert kept == list(range(1, 20, 2))


@pytest.mark.parametrize("value", ["1_0", "0x10", "１", "1e3"])
def test_what_numpy_takes_for_a_number_is_judged_as_predict_does(
    value: str, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "m.csv", [CELLS, [*CELLS[:-1], value]])
    _, rejects = read(path)
    assert [reject["file_row"] for reject in rejects] == [2]


def test_bad_rows_of_parquet_are_rejects(tmp_path: Path) -> None:
    lists: list[Any] = [row.tolist() for row in SQUARES.reshape(COUNT, -1)]
    lists[2], lists[4] = None, lists[4][:-1]
    lists[5] = [*lists[5][:-1], None]
    lists[6] = [*lists[6][:-1], -3]
    pq.write_table(pa.table({"pixels": lists}), tmp_path / "m.parquet")
    table, rejects = read(tmp_path / "m.parquet")
    assert [(reject["file_row"], reject["reason"]) for reject in rejects] == [
        (3, "wrong-length"),
        (5, "wrong-length"),
        (6, "not-finite"),
        (7, "out-of-range"),
    ]
    assert table.num_rows == COUNT - 4


def test_an_integer_that_no_float_holds_is_out_of_range(tmp_path: Path) -> None:
    flat = SQUARES.reshape(COUNT, -1).astype(np.int64)
    flat[1, 5] = 2**63 - 1
    lists = {"pixels": list(flat)}
    columns = dict(zip(NAMES, flat.T, strict=True))
    for table in (lists, columns):
        pq.write_table(pa.table(table), tmp_path / "m.parquet")
        rows, rejects = read(tmp_path / "m.parquet")
        found = [(reject["file_row"], reject["reason"]) for reject in rejects]
        assert (rows.num_rows, found) == (COUNT - 1, [(2, "out-of-range")])


@pytest.mark.parametrize("kind", [pa.string_view(), pa.list_(pa.string_view())], ids=str)
def test_text_of_any_type_passes_through(tmp_path: Path, kind: pa.DataType) -> None:
    texts: list[Any] = [f"a text of some length, {i}" for i in range(COUNT)]
    others = texts if kind == pa.string_view() else [[text] for text in texts]
    lists: list[Any] = [row.tolist() for row in SQUARES.reshape(COUNT, -1)]
    lists[2], lists[4][0] = None, 999
    table = pa.table({"pixels": lists, "note": pa.array(others, kind)})
    pq.write_table(table, tmp_path / "m.parquet")
    rows, rejects = read(tmp_path / "m.parquet")
    assert [reject["file_row"] for reject in rejects] == [3, 5]
    assert rows["note"].to_pylist() == [others[i] for i in range(COUNT) if i not in (2, 4)]


def test_large_squares_come_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[list[int]]
) -> None:
    monkeypatch.setattr("batchdigits.forms.squares.block.BLOCK_BYTES", 5 * 8 * 784)
    np.save(tmp_path / "m.npy", SQUARES)
    write_csv(tmp_path / "m.csv", csv_rows())
    columns = dict(zip(NAMES, SQUARES.reshape(COUNT, -1).T, strict=True))
    pq.write_table(pa.table(columns), tmp_path / "m.parquet")
    for name in ("m.npy", "m.csv", "m.parquet"):
        source = SquareFile(str(tmp_path / name), SquareOptions(), None)
        blocks = [block for block in source.blocks() if not isinstance(block, str)]
        assert [len(block.rows) for block in blocks] == [5, 5, 2]
        assert pixels_of(read(tmp_path / name)[0]) == expected
    np.save(tmp_path / "faint.npy", np.where(np.arange(COUNT)[:, None, None] < 7, 0, SQUARES))
    rows, rejects = read(tmp_path / "faint.npy")
    assert rows.num_rows + len(rejects) == COUNT, "not refused for its first block"


def test_lists_of_many_pixels_come_a_few_at_a_time(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (12, 700 * 700), np.uint8)
    pq.write_table(pa.table({"pixels": list(noise)}), tmp_path / "m.parquet")
    source = SquareFile(str(tmp_path / "m.parquet"), SquareOptions(), None)
    sizes = [len(block.rows) for block in source.blocks() if not isinstance(block, str)]
    assert sum(sizes) == 12
    assert max(sizes) < 10


def sparse(path: Path) -> Path:
    """An array of zeros that takes no room on the disk."""
    np.lib.format.open_memmap(path, "w+", np.uint8, (1, 4097, 4097)).flush()
    return path


def bomb(path: Path) -> Path:
    row = pa.array(np.zeros(4_000_000, np.uint8))
    lists = pa.ListArray.from_arrays(np.arange(0, 4_000_001, 1_000_000, np.int32), row)
    pq.write_table(pa.table({"pixels": pa.concat_arrays([lists] * 10)}), path)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: sparse(p / "m.npy"), "squares of 16,785,409 pixels, expected 16,777,216"),
        (lambda p: bomb(p / "m.parquet"), "in memory; re-create the file with shorter cells"),
    ],
    ids=["a giant", "a bomb"],
)
def test_a_small_file_can_not_fill_the_memory(make: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableInputError, match=words):
        read(make(tmp_path))


def damaged(path: Path) -> Path:
    pq.write_table(pa.table({"pixels": list(SQUARES.reshape(COUNT, -1))}), path)
    path.write_bytes(path.read_bytes()[:-100])
    return path


def saved(path: Path, array: Any) -> Path:
    np.save(path, array, allow_pickle=True)
    return path


FILES = {
    "empty": lambda p: write_csv(p / "m.csv", [], header=False),
    "cut Parquet": lambda p: damaged(p / "m.parquet"),
    "rows of 8x8": lambda p: saved(p / "m.npy", np.zeros((3, 64), np.uint8)),
    "no square": lambda p: saved(p / "m.npy", np.zeros((3, 65), np.uint8)),
    "one axis": lambda p: saved(p / "m.npy", np.zeros(784)),
    "objects": lambda p: saved(p / "m.npy", np.array([{}, []], object)),
    "cut npy": lambda p: (p / "m.npy").write_bytes(b"\x93NUMPY\x01") and p / "m.npy",
    "text in Parquet": lambda p: (
        pq.write_table(pa.table({n: ["x"] for n in NAMES}), p / "m.parquet") or p / "m.parquet"
    ),
    "an output column": lambda p: (
        pq.write_table(
            pa.table({"pixels": list(SQUARES.reshape(COUNT, -1)), "ink": LABELS}), p / "m.parquet"
        )
        or p / "m.parquet"
    ),
    "an odd count of few": lambda p: write_csv(p / "m.csv", [[1] * 3], header=False),
    "an odd count": lambda p: write_csv(p / "m.csv", [[1] * 791], header=False),
}


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(make: Any, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(UnusableInputError, match=str(path)) as caught:
        read(path, header="odd" not in path.read_text("latin-1") and path.stat().st_size > 3000)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("delimiter", [" ", "whitespace"])
def test_columns_may_be_aligned_with_spaces_and_tabs(
    delimiter: str, tmp_path: Path, expected: list[list[int]]
) -> None:
    path = tmp_path / "m.csv"
    lines = [["label", *NAMES], *csv_rows()]
    path.write_text("".join(f"  {'  '.join(map(str, line))} \t\n" for line in lines))
    table, rejects = read(path, delimiter=delimiter)
    assert pixels_of(table) == expected
    assert (table["label"].to_pylist(), rejects) == (list(map(str, LABELS)), [])


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
@pytest.mark.parametrize("header", [True, False])
def test_another_delimiter_is_named(tmp_path: Path, delimiter: str, header: bool) -> None:
    path = write_csv(tmp_path / "m.csv", csv_rows(), header=header)
    path.write_text(path.read_text().replace(",", delimiter))
    flag = f"--delimiter {delimiter!r}" + ("" if header else " --no-header")
    with pytest.raises(UnusableInputError, match=f"looks like .*: use {re.escape(flag)}$"):
        read(path)
    assert read(path, delimiter=delimiter, header=header)[0].num_rows == COUNT


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npy"])
def test_names_of_any_bytes_are_kept(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"M\xfcller." + suffix.encode())
    with path.open("wb") as file:
        if suffix == "npy":
            np.save(file, SQUARES)
        else:
            table = pa.table(dict(zip(NAMES, SQUARES.reshape(COUNT, -1).T, strict=True)))
            (pq.write_table if suffix == "parquet" else pc.write_csv)(table, file)
    assert read(path)[0]["file"].to_pylist() == [f"{tmp_path}/M\\xfcller.{suffix}"] * COUNT


def test_a_file_that_is_replaced_by_one_with_other_columns_is_tried_again(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", csv_rows())
    source = SquareFile(str(path), SquareOptions(), None)
    lines = [NAMES, *(row[1:] for row in csv_rows())]
    write_csv(tmp_path / "new.csv", lines, header=False).replace(path)
    with pytest.raises(TryAgainError, match=r"m\.csv: was replaced while it was read"):
        list(source.blocks())


@pytest.mark.parametrize(
    "options",
    [*({"scale": scale} for scale in (0, float("nan"), 1e-320, 1e308)), {"delimiter": "::"}],
)
def test_options_that_fit_no_file_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SquareOptions(**options).checked()


def test_the_command_makes_rows_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expected: list[list[int]]
) -> None:
    path = write_csv(tmp_path / "m.csv", [*csv_rows(), CELLS[:-1]])
    output = tmp_path / "rows.parquet"
    arguments = ["cells", str(path), "--output", str(output), "--workers", "1"]
    assert main(arguments) == 3
    assert "1 of 13 crops were rejected (1 too-few-cells)" in capsys.readouterr().err
    assert pixels_of(pq.read_table(output)) == expected
    assert pq.read_table(tmp_path / "rows.forms.rejects.parquet")["file_row"].to_pylist() == [13]
    assert main(arguments) == 3
    assert '"unchanged"' in capsys.readouterr().out
    assert main([*arguments, "--delimiter", ";"]) == 65
    assert main(["cells", str(path), str(tmp_path), "--output", str(output)]) == 2
    assert "is a file of rows, and 2 inputs are named" in capsys.readouterr().err


def test_predict_takes_the_rows_of_a_file_as_they_are(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "m.csv", csv_rows())
    rows = tmp_path / "rows.parquet"
    assert main(["cells", str(path), "--output", str(rows), "--workers", "1"]) == 0
    assert predict([str(rows)]) == 0
    predictions = pq.read_table(tmp_path / "rows.predictions.parquet")
    assert predictions["file_row"].to_pylist() == list(range(1, COUNT + 1))


def test_a_first_line_of_numbers_is_no_header(tmp_path: Path) -> None:
    bare = write_csv(tmp_path / "m.csv", csv_rows(), header=False)
    with pytest.raises(UnusableInputError, match="all numbers, expected a header; .*--no-header"):
        read(bare)
    numbered = tmp_path / "numbered.csv"
    lines = [["label", *range(784)], *csv_rows()]
    numbered.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    assert read(numbered)[0]["label"].to_pylist() == list(map(str, LABELS))
    numbered.write_text("\n".join(line.split(",", 1)[1] for line in numbered.read_text().split()))
    assert read(numbered)[0].num_rows == COUNT


def test_a_file_that_is_absent_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(BatchdigitsError) as caught:
        read(tmp_path / "absent.csv")
    assert caught.value.exit_code == 66
    with pytest.raises(BatchdigitsError) as caught:
        read(tmp_path / "absent.npy")
    assert caught.value.exit_code == 66
