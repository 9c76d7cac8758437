"""Faults of single values, entries 14 to 20: never filled in, never read as another value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_bundles import overflowing_model, sound_bundle
from fault_csv import ScoredCsv
from fault_data import (
    HEADER,
    PIXEL_NAMES,
    csv_bytes,
    digit_rows,
    digit_table,
    with_pixels,
)
from fault_runs import Job, assert_ledger, predict_here, undisturbed
from paths import SAMPLE_DATA

Score = Callable[..., ScoredCsv]
Clean = dict[str, list[str]]

ABSENT = ("", " ", "NA", "n/a", "null", "None", r"\N", "?", "#N/A", '""')
NOT_FINITE = ("NaN", "nan", "-nan", "inf", "-Infinity", '"NaN"')
OUT_OF_RANGE = (
    *("-1", "17", "16.5", "99999999999999999999", "1" * 400, '"17"', "16.0000001"),
    *("1e400", "-1e400", "-.5", "-1e-17", "1.7e+01", "+17"),
)
NO_NUMBER = (
    *("0x10", "1_6", "1D+01", '"6,5"', "５", "O", ".", "1 6", "five", "--1", "+-1", "1e", "e1"),
    *("1,6".join('""'), "0b11", "5f", "٣", "5\u00a0", "\u22121"),
)
BAD = {
    **dict.fromkeys(ABSENT, "missing"),
    **dict.fromkeys(NOT_FINITE, "not-finite"),
    **dict.fromkeys(OUT_OF_RANGE, "out-of-range"),
    **dict.fromkeys(NO_NUMBER, "not-a-number"),
}
# The spelling of the good cells around a bad one decides which path of the reader it takes.
WRITTEN = {"5": str, "5.0": "{}.0".format, '"5"': '"{}"'.format, " 5": " {}".format}


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("pixel", [0, 31, 63])
def test_14_15_what_is_no_pixel_is_rejected_whichever_path_reads_it(
    score: Score, clean: Clean, written: str, pixel: int
) -> None:
    rows = digit_rows(2 * len(BAD))
    for row in rows:
        row[2:] = map(WRITTEN[written], row[2:])
    for row, bad in zip(rows[1::2], BAD, strict=True):
        row[2 + pixel] = bad
    scored = score("in.csv", csv_bytes(rows))
    assert scored.told("row", "reason", "column") == [
        (str(2 * i + 2), reason, f"pixel_{pixel}") for i, reason in enumerate(BAD.values())
    ]
    shown = [cell.strip('"') if cell[:1] == '"' else cell for cell in BAD]
    assert [value for (value,) in scored.told("value")] == shown
    assert scored.rows == [row for row in clean.values() if row[0] in {r[0] for r in rows[::2]}]


FIVES = ("5.", "+5", "05.0", "5e0", ".5E+1", "50e-1", "5.000000000000000000e+00", '"+5.0"')


@pytest.mark.parametrize(
    "cell", ["5", "5.0", "005", '"5"', " 5", "5 ", '" 5 "', "5.000", "\t5", *FIVES]
)
def test_15_a_five_is_a_five_however_it_is_written(score: Score, cell: str) -> None:
    rows = digit_rows(20)
    for row in rows:
        row[30] = "5"
    plain = score("in.csv", csv_bytes(rows))
    for row in rows:
        row[30] = cell
    scored = score("in.csv", csv_bytes(rows))
    assert (scored.code, scored.predictions) == (0, plain.predictions)


def test_15_decimals_throughout_give_the_same_bytes(score: Score) -> None:
    """scikit-learn writes `5.0`; tests/rows checks that such files stay on the fast path."""
    rows = digit_rows(600)
    plain = score("in.csv", csv_bytes(rows))
    decimal = score("in.csv", csv_bytes([[*r[:2], *(f"{cell}.0" for cell in r[2:])] for r in rows]))
    assert (decimal.code, decimal.predictions) == (0, plain.predictions)


@pytest.mark.parametrize("written", ["%.18e", "%.1f", "%g", "%+.3E", "%5.1f"])
def test_15_a_file_as_numpy_and_others_save_it_gives_the_same_bytes(
    score: Score, written: str
) -> None:
    rows = digit_rows(100)
    plain = score("in.csv", csv_bytes(rows))
    saved = score(
        "in.csv", csv_bytes([[*r[:2], *(written % float(cell) for cell in r[2:])] for r in rows])
    )
    assert (saved.code, saved.predictions) == (0, plain.predictions)


def test_14_15_bad_values_of_parquet_are_rejected(tmp_path: Path, clean: Clean) -> None:
    bad = {
        None: "missing",
        float("nan"): "not-finite",
        float("inf"): "not-finite",
        float("-inf"): "not-finite",
        -1.0: "out-of-range",
        17.0: "out-of-range",
        16.0000001: "out-of-range",
    }
    table = with_pixels(digit_table(2 * len(bad)), pa.float64())
    at = table.column_names.index("pixel_7")
    values = table["pixel_7"].to_pylist()
    values[1::2] = bad
    table = table.set_column(at, "pixel_7", pa.array(values, pa.float64()))
    pq.write_table(table, tmp_path / "in.parquet")
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    rejects = pq.read_table(job.rejects)
    assert rejects["reason"].to_pylist() == list(bad.values())
    assert rejects["row"].to_pylist() == [2 * i + 2 for i in range(len(bad))]
    assert set(rejects["column"].to_pylist()) == {"pixel_7"}
    assert pq.read_table(job.output)["id"].to_pylist() == list(clean)[: 2 * len(bad) : 2]


WIDTHS = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(5, 2), pa.decimal256(50, 3)),
]


def test_16_all_widths_give_the_same_predictions(tmp_path: Path) -> None:
    table = digit_table(300)
    folder = tmp_path / "in"
    folder.mkdir()
    for kind in WIDTHS:
        pq.write_table(with_pixels(table, kind), folder / f"{str(kind).split('(')[0]}.parquet")
    pq.write_table(table, folder / "dictionary.parquet", use_dictionary=True)
    ran = predict_here(folder, "--output", tmp_path / "out")
    assert (ran.code, ran.summary["rows_predicted"]) == (0, 300 * (len(WIDTHS) + 1))
    outputs = [pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))]
    assert len(outputs) == len(WIDTHS) + 1
    assert all(output.equals(outputs[0]) for output in outputs)


@pytest.mark.parametrize(
    "values",
    [["5"] * 20, [True] * 20, [{"ink": 5}] * 20, [[5]] * 20, [b"5"] * 20],
    ids=["text", "bool", "struct", "list", "binary"],
)
def test_16_pixels_that_are_no_numbers_are_refused(tmp_path: Path, values: list[object]) -> None:
    table = digit_table(20)
    at = table.column_names.index("pixel_3")
    pq.write_table(table.set_column(at, "pixel_3", pa.array(values)), tmp_path / "in.parquet")
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    assert ran.code == 65
    assert "pixel_3 (" in ran.error


def test_17_doubled_and_missing_ids_keep_their_place_and_number(
    score: Score, clean: Clean, tmp_path: Path
) -> None:
    ids = ["same"] * 10 + [""] * 10 + ["007"] * 5 + ["r1"] + ["same"] * 4
    rows = digit_rows(30)
    for row, name in zip(rows, ids, strict=True):
        row[0] = name
    scored = score("in.csv", csv_bytes(rows))
    expected = [[name, *row[1:]] for name, row in zip(ids, clean.values(), strict=False)]
    assert scored.rows == expected
    nulls = [name or None for name in ids]
    pq.write_table(digit_table(30).set_column(0, "id", pa.array(nulls)), tmp_path / "in.parquet")
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    assert predict_here(*job.arguments).code == 0
    read = pq.read_table(job.output)
    assert read["id"].to_pylist() == nulls
    assert list(map(str, read["prediction"].to_pylist())) == [row[2] for row in expected]


@pytest.fixture(scope="module")
def same_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A folder with the same 600 rows as CSV and as Parquet, some bad, and their results."""
    folder = tmp_path_factory.mktemp("same")
    rows = digit_rows(600)
    for row in rows[5::97]:
        row[40] = "99"
    (folder / "in.csv").write_bytes(csv_bytes(rows))
    pixels = np.array([row[2:] for row in rows], np.float64)
    columns = {"id": [row[0] for row in rows], "note": [row[1] for row in rows]}
    columns |= {name: pixels[:, i] for i, name in enumerate(PIXEL_NAMES)}
    pq.write_table(pa.table(columns), folder / "in.parquet", row_group_size=250)
    job = Job(folder / "in.csv", folder / "p.csv", ("--probabilities",))
    found = undisturbed(job, folder / "expected")
    return folder, {"p.csv": found["p.csv"]}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch", [1, 7, 64, 10_000])
def test_18_the_same_rows_give_the_same_bytes(
    same_rows: tuple[Path, dict[str, bytes]], tmp_path: Path, batch: int, workers: int
) -> None:
    """As CSV and as Parquet, with any batch size and number of workers."""
    folder, expected = same_rows
    for name in ("in.csv", "in.parquet"):
        flags = ["--probabilities", "--batch-size", str(batch), "--workers", str(workers)]
        job = Job(folder / name, tmp_path / name / "p.csv", tuple(flags))
        ran = predict_here(*job.arguments)
        assert_ledger(job, ran)
        assert (ran.code, ran.summary["rows_rejected"]) == (3, 7)
        assert job.output.read_bytes() == expected["p.csv"]


def test_18_many_blocks_give_the_same_bytes(tmp_path: Path) -> None:
    """Enough rows for several blocks of the CSV."""
    rows = digit_rows(20_000)
    (tmp_path / "in.csv").write_bytes(csv_bytes(rows))
    pq.write_table(digit_table(20_000), tmp_path / "in.parquet")
    outputs = []
    for name, workers in (("in.csv", "1"), ("in.csv", "3"), ("in.parquet", "2")):
        out = tmp_path / f"{name}{workers}" / "p.csv"
        assert predict_here(tmp_path / name, "--output", out, "--workers", workers).code == 0
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


def test_18_a_resumed_run_gives_the_same_bytes(
    same_rows: tuple[Path, dict[str, bytes]], tmp_path: Path
) -> None:
    """A run is resumed file by file: the rest of a folder gives the same bytes."""
    folder, expected = same_rows
    source = tmp_path / "in"
    source.mkdir()
    for i in range(3):
        (source / f"{i}.csv").write_bytes((folder / "in.csv").read_bytes())
    out = tmp_path / "out"
    run = [source, "--output", out, "--probabilities"]
    assert predict_here(*run).code == 3
    for path in out.glob("1.*"):
        path.unlink()
    again = predict_here(*run)
    entries = again.summary["inputs"]
    assert [entry["status"] for entry in entries] == ["unchanged", "scored", "unchanged"]
    for i in range(3):
        assert (out / f"{i}.predictions.csv").read_bytes() == expected["p.csv"]


def looks(kind: str, pixels: np.ndarray) -> np.ndarray:
    images = pixels.reshape(-1, 8, 8)
    return {
        "share": lambda: images / 16,
        "bytes": lambda: np.round(images * 255 / 16),
        "inverted": lambda: 16 - images,
        "transposed": lambda: images.transpose(0, 2, 1),
        "blank": lambda: images * 0,
    }[kind]().reshape(-1, 64)


def write_looks(path: Path, kind: str, rows: int = 600) -> Path:
    digits = np.column_stack(
        [pq.read_table(SAMPLE_DATA / "digits.parquet")[n] for n in PIXEL_NAMES]
    )
    pixels = looks(kind, digits[np.arange(rows) % len(digits)].astype(np.float64))
    columns = {name: pixels[:, i] for i, name in enumerate(PIXEL_NAMES)}
    pq.write_table(pa.table({"id": np.arange(rows), **columns}), path)
    return path


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        ("share", "--scale 1"),
        ("bytes", "--scale 255"),
        ("inverted", "16 for ink and 0 for paper"),
        ("transposed", "row by row"),
        ("blank", "--pixels"),
    ],
)
def test_19_suspicious_data_are_stopped_with_the_fix_named(
    tmp_path: Path, kind: str, fix: str
) -> None:
    job = Job(write_looks(tmp_path / "in.parquet", kind), tmp_path / "out" / "p.parquet")
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    assert ran.code == 65
    assert fix in ran.error


@pytest.mark.parametrize("kind", ["share", "inverted", "transposed", "blank"])
def test_19_suspicious_data_are_scored_when_told(tmp_path: Path, kind: str) -> None:
    source = write_looks(tmp_path / "in.parquet", kind)
    job = Job(source, tmp_path / "out" / "p.parquet", ("--allow-suspect",))
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    assert (ran.code, ran.summary["rows_predicted"]) == (0, 600)


def test_19_single_blank_rows_are_scored(score: Score) -> None:
    rows = digit_rows(600)
    for row in rows[::10]:
        row[2:] = ["0"] * 64
    assert score("in.csv", csv_bytes(rows)).code == 0
    blank = [[*row[:2], *["0"] * 64] for row in rows]
    assert score("in.csv", csv_bytes(blank[:10])).code == 0
    assert score("in.csv", csv_bytes(blank[:499])).code == 65


def test_19_what_turns_suspicious_behind_the_first_rows_is_stopped_at_the_end(
    tmp_path: Path,
) -> None:
    """65,536 digits, and then twice as many inverted."""
    table = digit_table(66_000)
    upside = {n: pa.array(16 - table[n].to_numpy()) for n in PIXEL_NAMES}
    inverted = pa.table({"id": table["id"], "note": table["note"], **upside})
    with pq.ParquetWriter(tmp_path / "in.parquet", table.schema) as writer:
        writer.write_table(table)
        for _ in range(2):
            writer.write_table(inverted)
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    assert ran.code == 65
    assert "inverted" in ran.error


def test_20_a_row_that_the_model_gives_nan_is_rejected(score: Score, tmp_path: Path) -> None:
    bundle = tmp_path / "nan.bundle"
    bundle.write_bytes(sound_bundle(overflowing_model()))
    rows = digit_rows(30)
    for row in rows:
        row[-1] = "0"
    rows[4][-1] = rows[5][-1] = "16"
    rows[6][2] = "99"
    rows[2][1] = '"over\ntwo lines"'
    scored = score("in.csv", csv_bytes(rows), "--bundle", str(bundle), "--probabilities")
    assert scored.places() == [
        (5, 7, "no-probability"),
        (6, 8, "no-probability"),
        (7, 9, "out-of-range"),
    ]
    assert [row[0] for row in scored.rows] == [r[0] for r in rows[:4] + rows[7:]]
    assert [reject["id"] for reject in scored.rejects] == [row[0] for row in rows[4:7]]
    confidences = np.array([row[3:] for row in scored.rows], np.float64)
    assert ((confidences >= 0) & (confidences <= 1)).all()


def test_20_confidence_is_in_0_to_1(score: Score) -> None:
    generator = np.random.default_rng(0)
    rows = [[str(i), "", *map(str, generator.integers(0, 17, 64))] for i in range(2000)]
    scored = score("in.csv", csv_bytes(rows, HEADER), "--allow-suspect")
    confidences = np.array([row[3] for row in scored.rows], np.float64)
    assert len(confidences) == 2000
    assert ((confidences > 0) & (confidences <= 1)).all()
