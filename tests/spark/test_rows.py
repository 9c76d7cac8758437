"""Rows mode: what `predict` writes to two files, in one DataFrame, row for row."""

from __future__ import annotations

import datetime
import decimal
import gc
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA
from spark_cluster import Cluster

from batchdigits import api
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.rows.options import ReadOptions
from batchdigits.scoring.options import ScoreOptions
from batchdigits.spark import score, write
from batchdigits.spark.rows import PACKED, REJECT, Work, freeze_once

ROWS = 1_200
PIXELS = [f"pixel_{i}" for i in range(64)]


def digits(rows: int = ROWS, *, faulty: bool = True) -> pa.Table:
    """Digits of the sample data over and over, with an `id`; some rows can't be scored."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = np.column_stack([table[f"pixel_{i}"] for i in range(64)]).astype(np.float64)
    pixels = np.resize(pixels, (rows, 64))
    if faulty:
        pixels[5::97, 3] = 99
        pixels[6::101, 4] = np.nan
        pixels[0, 63] = -1
        pixels[-1, 0] = np.inf
    columns = {f"pixel_{i}": pa.array(pixels[:, i]) for i in range(64)}
    if faulty:
        missing = np.zeros(rows, bool)
        missing[7::89] = True
        columns["pixel_9"] = pa.array(pixels[:, 9], mask=missing)
    return pa.table({"id": pa.array(np.arange(rows)), **columns, "form": ["f"] * rows})


def work(packed: tuple[str, ...] = (), **keywords: Any) -> Work:
    options = ScoreOptions(strangeness=True, probabilities=True)
    return Work(api.open_bundle(), ReadOptions(**keywords), options, False, packed)


def packed_batches(table: pa.Table, batch_rows: int) -> list[pa.RecordBatch]:
    """What Spark's `array` makes of 64 columns of one type."""
    lists = pa.array(zip(*(table[name].to_pylist() for name in PIXELS), strict=True))
    others = table.drop_columns(PIXELS)
    return others.add_column(0, PACKED, lists).to_batches(batch_rows)


def as_predict(table: pa.Table) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split a result of rows mode into the rows of predictions and those of rejects, by id."""
    rows = sorted(table.to_pylist(), key=lambda row: row["id"])
    kept = table.schema.names[: table.schema.names.index("prediction")]
    rejects = [
        {name: row[name] for name in kept} | row[REJECT] for row in rows if row[REJECT] is not None
    ]
    predictions = [
        {name: value for name, value in row.items() if name != REJECT}
        for row in rows
        if row[REJECT] is None
    ]
    assert all(row["prediction"] is None for row in rows if row[REJECT] is not None)
    return predictions, rejects


def by_predict(
    table: pa.Table, folder: Path, **keywords: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the two files that `predict` writes, rejects without where they stood."""
    source = folder / "input.parquet"
    pq.write_table(table, source)
    summary = api.score(source, output=folder / "out.parquet", max_rejects="100%", **keywords)
    assert summary.exit_code == 0
    rejects = []
    if (folder / "out.rejects.parquet").exists():
        rejects = pq.read_table(folder / "out.rejects.parquet").to_pylist()
    for row in rejects:
        del row["input"], row["row"]
    return pq.read_table(folder / "out.parquet").to_pylist(), rejects


@pytest.mark.parametrize("batch_rows", [1, 7, ROWS])
def test_a_partition_is_scored_row_for_row_as_predict_scores_a_file(
    batch_rows: int, tmp_path: Path
) -> None:
    table = digits() if batch_rows > 1 else digits(60)
    scored = pa.Table.from_batches(work().batches(table.to_batches(batch_rows)))
    assert scored.column("id").to_pylist() == table.column("id").to_pylist()
    expected = by_predict(table, tmp_path, strangeness=True, probabilities=True)
    assert as_predict(scored) == expected
    batches = packed_batches(table, batch_rows)
    packed = pa.Table.from_batches(work(tuple(PIXELS)).batches(batches))
    assert packed.equals(scored)


def test_what_is_imported_is_hidden_from_the_garbage_collector_once() -> None:
    try:
        freeze_once()
        hidden = gc.get_freeze_count()
        later = [[] for _ in range(1_000)]
        freeze_once()
        assert hidden >= gc.get_freeze_count() > len(later)
    finally:
        gc.unfreeze()


def test_work_survives_the_way_to_another_process_but_no_change_on_it() -> None:
    """The bytes of the bundle travel with their digest."""
    data = pickle.dumps(work())
    again = pickle.loads(data)  # noqa: S301  # our own
    assert again.bundle.digest == work().bundle.digest
    place = data.index(b"model.onnx") + 5_000
    changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    with pytest.raises(BundleError, match="its bytes changed on the way"):
        pickle.loads(changed)  # noqa: S301


def test_a_partition_that_does_not_look_like_digits_is_refused_unless_allowed() -> None:
    table = digits(faulty=False)
    names = [f"pixel_{i}" for i in range(64)]
    inverted = pa.table(
        {name: pa.array(16 - table[name].to_numpy()) for name in names} | {"id": table["id"]}
    )
    with pytest.raises(UnusableInputError, match="allow_suspect"):
        list(work().batches(inverted.to_batches(100)))
    allowed = Work(api.open_bundle(), ReadOptions(), ScoreOptions(), allow_suspect=True)
    with pytest.warns(match="scored as they are"):
        assert sum(b.num_rows for b in allowed.batches(inverted.to_batches())) == ROWS


@pytest.mark.spark
@pytest.mark.parametrize(
    ("batch_rows", "rows"), [(1, ROWS), (7, ROWS), (10_000, 36_000), (32_768, 36_000)]
)
def test_rows_mode_equals_predict_rejects_included(
    spark: Any, folder: Path, batch_rows: int, rows: int
) -> None:
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(batch_rows))
    expected = by_predict(digits(rows), folder, probabilities=True, strangeness=True)
    df = spark.read.parquet(f"file://{folder}/input.parquet").repartition(3)
    scored = score(df, probabilities=True, strangeness=True)
    receipt = write(scored, folder / "scored", max_rejects="100%")
    assert as_predict(pq.read_table(folder / "scored")) == expected
    assert receipt.counts.rows_in == rows
    assert receipt.counts.rows_rejected == len(expected[1])
    assert receipt.problems() == []


def typed_columns(rows: int) -> dict[str, pa.Array]:
    """Columns of every Arrow type that Parquet keeps; Spark has no such type for many."""
    day = datetime.date(2026, 11, 28)
    moment = datetime.datetime(2026, 11, 28, 3, 30, 1, 234567)
    utc = moment.replace(tzinfo=datetime.UTC)
    values: dict[str, tuple[Any, pa.DataType]] = {
        "u8": (255, pa.uint8()),
        "u16": (65_535, pa.uint16()),
        "u32": (2**32 - 1, pa.uint32()),
        "u64": (2**64 - 1, pa.uint64()),
        "i8": (-128, pa.int8()),
        "i64": (-(2**63), pa.int64()),
        "f32": (0.1, pa.float32()),
        "f64": (0.1, pa.float64()),
        "amount": (decimal.Decimal("12.340"), pa.decimal128(10, 3)),
        "text": ("ä", pa.large_string()),
        "bytes": (b"\x00\xff", pa.binary()),
        "flag": (True, pa.bool_()),
        "day": (day, pa.date32()),
        "at": (utc, pa.timestamp("us", "UTC")),
        "local": (moment, pa.timestamp("us")),
        "numbers": ([1, None], pa.list_(pa.int32())),
        "pair": ({"a": 1, "b": "x"}, pa.struct({"a": pa.int32(), "b": pa.string()})),
        "map": ([("k", 1)], pa.map_(pa.string(), pa.int32())),
        "fixed": ([1.5, 2.5], pa.list_(pa.float32(), 2)),
    }
    columns = {
        name: pa.array([value, None] * (rows // 2), kind) for name, (value, kind) in values.items()
    }
    return columns | {"repeated": pa.array(["a", None] * (rows // 2)).dictionary_encode()}


def pixel_column(rows: int, kind: str) -> dict[str, pa.Array]:
    table = digits(rows, faulty=False)
    pixels = np.column_stack([table[f"pixel_{i}"] for i in range(64)])
    flat = pixels.reshape(-1)
    if kind == "decimals":
        whole = [pa.array(pixels[:, i].astype(np.int8)) for i in range(64)]
        return {f"pixel_{i}": c.cast(pa.decimal128(4, 1)) for i, c in enumerate(whole)}
    if kind.startswith("columns"):
        dtype = kind.split()[1]
        return {f"pixel_{i}": pa.array(pixels[:, i].astype(dtype)) for i in range(64)}
    shape, dtype = kind.split()
    values = pa.array(flat.astype(dtype))
    if shape == "fixed":
        return {"pixels": pa.FixedSizeListArray.from_arrays(values, 64)}
    offsets = pa.array(np.arange(0, len(flat) + 1, 64, dtype=np.int32))
    return {"pixels": pa.ListArray.from_arrays(offsets, values)}


@pytest.mark.spark
@pytest.mark.parametrize(
    "kind",
    [
        "columns uint8",
        "columns uint64",
        "columns float32",
        "decimals",
        "fixed uint8",
        "fixed float32",
    ]
    + ["list int64", "list uint16", "list float64"],
)
def test_types_that_spark_lacks_are_scored_and_pass_through_with_their_values(
    spark: Any, folder: Path, kind: str
) -> None:
    rows = 40
    columns = {"id": pa.array(np.arange(rows)), **typed_columns(rows), **pixel_column(rows, kind)}
    predictions, rejects = by_predict(pa.table(columns), folder)
    assert not rejects
    scored = score(spark.read.parquet(f"file://{folder}/input.parquet"))
    write(scored, folder / "scored")
    found = as_predict(pq.read_table(folder / "scored"))[0]
    assert len(found) == rows
    for mine, other in zip(found, predictions, strict=True):
        assert {name: plain(value) for name, value in mine.items()} == {
            name: plain(value) for name, value in other.items()
        }


def plain(value: Any) -> Any:
    """A value whatever type held it: numbers as numbers, and times without their zone, UTC.

    Spark writes a moment as INT96, which pyarrow reads without a zone.
    """
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None)
    return int(value) if isinstance(value, decimal.Decimal) and value == int(value) else value


@pytest.mark.spark
def test_columns_that_can_not_be_scored_are_refused_before_anything_runs(spark: Any) -> None:
    zeros = ", ".join(f"0 as pixel_{i}" for i in range(64))
    cases = {
        f"select {zeros}, 1 as Prediction": "differ in case alone",
        f"select {zeros}, 1 as reject": "has the name of an output column",
        f"select {zeros}, make_interval(1) as span": "'span' has the type interval",
        "select 1 as x": "the DataFrame",
        "select array('a') as pixels": "the DataFrame",
    }
    for query, words in cases.items():
        with pytest.raises(UnusableInputError, match=words):
            score(spark.sql(query))
    named = f"select {zeros}, make_interval(1) as span, 7 as `a.b``c`"
    kept = score(spark.sql(named), keep=["a.b`c"], allow_suspect=True)
    assert kept.schema.names[0] == "a.b`c"
    assert kept.collect()[0][0] == 7


@pytest.mark.spark
def test_two_slots_open_two_engines_for_four_hundred_partitions(
    spark: Any, cluster: Cluster, folder: Path
) -> None:
    """Python workers are used again, and keep their engine."""
    pq.write_table(digits(4_000, faulty=False), folder / "input.parquet")
    cluster.notes.write_text("")
    df = spark.read.parquet(f"file://{folder}/input.parquet").repartition(400)
    receipt = write(score(df), folder / "scored")
    assert receipt.counts.rows_predicted == 4_000
    opened = cluster.notes.read_text().split()
    assert len(opened) == len(set(opened)) <= 2
