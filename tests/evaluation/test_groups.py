"""Labelled rows grouped by other columns, against counts made by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batchdigits.errors import UsageError
from batchdigits.evaluation import groups as groups_module
from batchdigits.evaluation.groups import Groups, json_value, may_group


def grouped(*columns: pa.Array, wrong: tuple[int, ...] = ()) -> Groups:
    """All rows of the columns, those at `wrong` predicted wrong, with a confidence of a half."""
    groups = Groups([f"column_{i}" for i in range(len(columns))])
    rows = np.arange(len(columns[0]))
    groups.add(columns, rows, np.isin(rows, wrong), np.full(len(rows), 0.5, np.float32))
    return groups


def test_rows_are_counted_by_the_values_of_several_columns() -> None:
    """An empty cell is a value too."""
    forms, fields = pa.array(["a", "a", None, "a"]), pa.array([1, 2, 1, 1])
    groups = grouped(forms, fields, wrong=(3,)).worst_first()
    counts = {group.values: (group.rows, group.errors) for group in groups}
    assert counts == {("a", 1): (2, 1), ("a", 2): (1, 0), (None, 1): (1, 0)}
    assert {group.confidence for group in groups} == {0.5}


def test_only_the_chosen_rows_of_a_batch_count() -> None:
    groups = Groups(["form"])
    forms = pa.array(["a", "b", "a"])
    groups.add([forms], np.array([1, 2]), np.array([True, False]), np.ones(2, np.float32))
    groups.add([forms], np.array([], np.int64), np.array([], bool), np.array([], np.float32))
    assert [(g.values, g.rows, g.errors) for g in groups.worst_first()] == [
        (("b",), 1, 1),
        (("a",), 1, 0),
    ]


def test_one_wrong_row_tells_less_than_nine_of_ten() -> None:
    """Groups go by the upper end of their interval, whatever their values."""
    groups = Groups(["form"])
    forms = pa.array(["once"] + ["often"] * 10 + ["fine"] * 3)
    is_wrong = np.array([True] * 10 + [False] * 4)
    groups.add([forms], np.arange(14), is_wrong, np.ones(14, np.float32))
    assert [(g.values, g.rows, g.errors) for g in groups.worst_first()] == [
        (("often",), 10, 9),
        (("once",), 1, 1),
        (("fine",), 3, 0),
    ]


def test_more_groups_than_the_most_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups_module, "MAX_GROUPS", 2)
    with pytest.raises(UsageError, match="--by column_0: more than 2 groups"):
        grouped(pa.array([1, 2, 3]))


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (pa.string(), True),
        (pa.dictionary(pa.int8(), pa.string()), True),
        (pa.timestamp("ns"), True),
        (pa.list_(pa.int8()), False),
        (pa.struct({"a": pa.int8()}), False),
        (pa.binary(), False),
        (pa.dictionary(pa.int8(), pa.binary()), False),
    ],
    ids=str,
)
def test_rows_are_not_grouped_by_lists_structs_or_bytes(kind: pa.DataType, may: bool) -> None:
    assert may_group(kind) == may


@pytest.mark.parametrize(
    ("value", "expected"), [(float("nan"), "nan"), (1.5, 1.5), (None, None), (b"a", "b'a'")]
)
def test_values_fit_json(value: Any, expected: Any) -> None:
    assert json_value(value) == expected
    json.dumps(json_value(value), allow_nan=False)
