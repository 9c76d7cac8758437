"""What is written as CSV reads back as the same values."""

from __future__ import annotations

import csv
import datetime
import io

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from sinks import written


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("a,\"\r\n'"))))
def test_any_text_reads_back_from_csv(rows: list[tuple[str, str]]) -> None:
    """Python's csv reader, an independent one, gets every cell back."""
    columns = {"a,b": [r[0] for r in rows], "c": [r[1] for r in rows], "n": [1 for _ in rows]}
    batch = pa.record_batch(
        {k: pa.array(v, None if v else pa.string()) for k, v in columns.items()}
    )
    text = written("csv", [batch]).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["a,b", "c", "n"], *([*row, "1"] for row in rows)]


def test_cells_without_special_characters_stay_bare() -> None:
    batch = pa.record_batch({"id": ["007", ""], "form": ["a b", "é"]})
    assert written("csv", [batch]) == "id,form\n007,a b\n,é\n".encode()


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_float32_is_the_shortest_text_that_reads_back(values: list[float]) -> None:
    batch = pa.record_batch({"v": pa.array(values, pa.float32())})
    lines = written("csv", [batch]).decode().splitlines()[1:]
    assert pa.array([float(line) for line in lines], pa.float32()).equals(batch["v"])


def test_other_types_and_nulls_have_a_text() -> None:
    batch = pa.record_batch(
        {
            "t": pa.array([datetime.date(2026, 1, 31), None]),
            "b": pa.array([True, False]),
            "d": pa.array(["x,y", "z"]).dictionary_encode(),
        }
    )
    assert written("csv", [batch]) == b't,b,d\n2026-01-31,true,"x,y"\n,false,z\n'


def test_batches_and_slices_join_without_a_seam() -> None:
    batch = pa.record_batch({"id": pa.array(["a", "b", "c", "d"])})
    empty = batch.slice(0, 0)
    parts = [batch.slice(0, 1), empty, batch.slice(1, 3)]
    assert written("csv", parts) == written("csv", [batch]) == b"id\na\nb\nc\nd\n"
