"""Rows of pass-through columns are taken whatever their type, and are counted without columns."""

import uuid

import numpy as np
import pyarrow as pa
import pytest

from batchdigits.rows.arrow import batch_of, changes, joined, take

UUIDS = pa.array([uuid.UUID(int=i).bytes for i in range(3)], pa.binary(16))
COLUMNS = {
    "text": pa.array(["a", "b", None], pa.string_view()),
    "bytes": pa.array([b"a", b"\xff", None], pa.binary_view()),
    "list": pa.array([["a"], None, ["b"]], pa.list_(pa.string_view())),
    "large list": pa.array([["a"], None, ["b"]], pa.large_list(pa.string_view())),
    "fixed list": pa.array([["a"], None, ["b"]], pa.list_(pa.string_view(), 1)),
    "struct": pa.array([{"x": "a"}, None, {"x": "b"}], pa.struct([("x", pa.string_view())])),
    "map": pa.array([[("k", "v")], None, []], pa.map_(pa.string(), pa.string_view())),
    "extension": pa.ExtensionArray.from_storage(pa.uuid(), UUIDS),
    "category": pa.array(["a", None, "b"]).dictionary_encode(),
    "number": pa.array([1, None, 2]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_of_any_type_are_taken_and_keep_their_type(name: str) -> None:
    batch = pa.record_batch({"x": COLUMNS[name]})
    taken = take(batch, np.array([2, 0]))
    assert taken.schema.equals(batch.schema)
    values = COLUMNS[name].to_pylist()
    assert taken["x"].to_pylist() == [values[2], values[0]]
    twice = joined([taken, batch])
    assert twice["x"].to_pylist() == [values[2], values[0], *values]


def test_a_batch_without_columns_keeps_its_number_of_rows() -> None:
    empty = batch_of([], 5, pa.schema([]))
    assert (empty.num_rows, empty.num_columns) == (5, 0)
    assert take(empty, np.array([4, 1])).num_rows == 2
    assert joined([empty, take(empty, np.array([0]))]).num_rows == 6


def test_a_value_differs_from_the_one_before_it_also_beside_nulls_and_in_dictionaries() -> None:
    values = pa.array(["a", "a", None, None, "b"])
    for column in (values, values.dictionary_encode()):
        assert changes(column).tolist() == [False, True, False, True]
    assert changes(pa.array([1, 2, 2])).tolist() == [True, False]
    assert changes(pa.array([7])).tolist() == []
