"""What is written as CSV reads back as the same values."""

from __future__ import annotations

import csv
import datetime
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sinks import written

from batchdigits.errors import UnusableInputError


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


@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(width=32),
            st.none() | st.floats(),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.booleans(),
            st.none() | st.text("aé' "),
        ),
        min_size=1,
    )
)
def test_cells_without_quotes_have_the_same_text_in_lines_with_quotes(
    rows: list[tuple[object, ...]],
) -> None:
    """Arrow's writer makes the first lines, and our own join the others."""
    types = [pa.float32(), pa.float64(), pa.int64(), pa.bool_(), pa.string()]
    columns = dict(zip("abcde", map(pa.array, zip(*rows, strict=True), types), strict=True))
    plain = written("csv", [pa.record_batch({**columns, "f": ["x"] * len(rows)})])
    quoted = written("csv", [pa.record_batch({**columns, "f": ['x"'] * len(rows)})])
    assert plain.replace(b",x\n", b',"x"""\n') == quoted


def test_batches_and_slices_join_without_a_seam() -> None:
    batch = pa.record_batch({"id": pa.array(["a", "b", "c", "d"])})
    empty = batch.slice(0, 0)
    parts = [batch.slice(0, 1), empty, batch.slice(1, 3)]
    assert written("csv", parts) == written("csv", [batch]) == b"id\na\nb\nc\nd\n"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"\xff\xfe", b"a"], pa.binary()).view(pa.string()),
        pa.array([b"a", b"\xe9"], pa.large_binary()).cast(pa.large_string(), safe=False),
        pa.array([0, 1], pa.timestamp("us", "Mars/Olympus_Mons")),
        pa.array([2_000_000_000, 0], pa.int32()).view(pa.date32()),
        pa.array([0, -(2**62)], pa.timestamp("us")),
    ],
    ids=lambda column: str(column.type),
)
def test_what_no_text_stands_for_is_refused_by_its_column(column: pa.Array) -> None:
    with pytest.raises(UnusableInputError, match="column 'odd'.* --keep, or write Parquet"):
        written("csv", [pa.record_batch({"id": ["a", "b"], "odd": column})])


def test_texts_that_a_dictionary_holds_once_are_measured_before_they_are_written() -> None:
    text = pa.DictionaryArray.from_arrays(
        pa.array([0] * 20_000, pa.int32()), pa.array(["x" * (1 << 20)])
    )
    with pytest.raises(UnusableInputError, match="20000 rows would take 20,971,520,000 bytes"):
        written("csv", [pa.record_batch({"note": text})])
    assert len(written("csv", [pa.record_batch({"note": text.slice(0, 3)})])) > 3 << 20
