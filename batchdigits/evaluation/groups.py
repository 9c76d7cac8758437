"""Labelled rows grouped by the values of other columns: by form, by field, by writer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.evaluation.confusion import share_interval
from batchdigits.rows.arrow import BYTES, is_any, positions

MAX_GROUPS = 100_000
"""More groups would be ids of single rows, and memory would grow with the input."""


@dataclass(frozen=True, slots=True)
class Group:
    """The labelled rows with these `values` in the columns that rows are grouped by.

    accuracy    the share of the rows that were predicted right, 0..1
    interval    the 95 % interval of the accuracy
    confidence  the mean confidence of the rows, 0..1
    """

    values: tuple[Any, ...]
    rows: int
    errors: int
    accuracy: float
    interval: tuple[float, float]
    confidence: float

    def as_facts(self, names: Sequence[str]) -> dict[str, Any]:
        """The group as plain JSON values; `names` are the columns of the values."""
        return {
            "group": dict(zip(names, self.values, strict=True)),
            "rows": self.rows,
            "errors": self.errors,
            "accuracy": self.accuracy,
            "accuracy_low": self.interval[0],
            "accuracy_high": self.interval[1],
            "mean_confidence": self.confidence,
        }


class Groups:
    """Counts of rows and errors, and sums of confidence, by the values of the columns `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._places: dict[tuple[Any, ...], int] = {}
        self._rows = np.zeros(MAX_GROUPS, np.int64)
        self._errors = np.zeros(MAX_GROUPS, np.int64)
        self._confidence = np.zeros(MAX_GROUPS)

    def add(
        self,
        columns: Sequence[pa.Array],
        chosen: NDArray[np.int64],
        is_wrong: NDArray[np.bool_],
        confidence: NDArray[np.float32],
    ) -> None:
        """Count some rows of a batch.

        columns               the columns to group by, all rows of the batch
        chosen                the places of the m rows to count, int64 (m,)
        is_wrong, confidence  of the m rows

        Raises UsageError for more groups than MAX_GROUPS.
        """
        if not len(chosen):
            return
        plain = [_in_plain_type(column) for column in columns]
        keys, numbers = _distinct([column.take(positions(chosen)) for column in plain])
        places = np.array([self._place(key) for key in keys], np.int64)
        for sums, weights in (
            (self._rows, None),
            (self._errors, is_wrong),
            (self._confidence, confidence),
        ):
            counts = np.bincount(numbers, weights=weights, minlength=len(keys))
            sums[places] += counts.astype(sums.dtype)

    def worst_first(self) -> list[Group]:
        """Return the groups, those that are certainly bad first.

        The order is by the upper end of the accuracy's interval: nine wrong rows of ten come before
        a single wrong row, which may be chance.
        """
        groups = [self._group(values, place) for values, place in self._places.items()]
        return sorted(groups, key=lambda g: (g.interval[1], -g.rows, _sortable(g.values)))

    def _place(self, key: tuple[Any, ...]) -> int:
        place = self._places.setdefault(key, len(self._places))
        if place >= MAX_GROUPS:
            raise UsageError(
                f"--by {','.join(self.names)}: more than {MAX_GROUPS:,} groups; name columns that "
                "many rows share, such as a form, a field or a writer"
            )
        return place

    def _group(self, values: tuple[Any, ...], place: int) -> Group:
        rows, errors = int(self._rows[place]), int(self._errors[place])
        interval = share_interval(rows - errors, rows) or (0.0, 1.0)
        confidence = float(self._confidence[place]) / rows
        return Group(values, rows, errors, (rows - errors) / rows, interval, confidence)


def may_group(kind: pa.DataType) -> bool:
    """Return whether rows can be grouped by values of that type: no lists, structs or bytes."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return not (is_any(kind, "nested", *BYTES) or isinstance(kind, pa.BaseExtensionType))


def _in_plain_type(column: pa.Array) -> pa.Array:
    """Cast to a type that Arrow can take rows from and Python can hold."""
    kind = column.type
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_duration(kind):
        return column.cast(pa.int64())
    if not pa.types.is_temporal(kind):
        return column
    try:
        return column.cast(pa.string())  # Python's times have no nanoseconds
    except pa.ArrowInvalid:  # a time zone that does not exist: in UTC then
        return column.cast(pa.timestamp(kind.unit)).cast(pa.string())


def _distinct(columns: Sequence[pa.Array]) -> tuple[list[tuple[Any, ...]], NDArray[np.int64]]:
    """Return the distinct rows of columns as JSON can hold them, and the number of each row's."""
    firsts = numbers = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes = _codes(column)
        _, firsts, numbers = np.unique(
            numbers * (int(codes.max()) + 1) + codes, return_index=True, return_inverse=True
        )
    taken = [column.take(positions(firsts)).to_pylist() for column in columns]
    return [tuple(map(json_value, values)) for values in zip(*taken, strict=True)], numbers


def _codes(column: pa.Array) -> NDArray[np.int64]:
    """Number the distinct values from 0; null is a value too."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    encoded = column.dictionary_encode()
    codes: NDArray[np.int64] = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(
        zero_copy_only=False
    )
    return codes.astype(np.int64)


def json_value(value: Any) -> Any:
    """Return a cell as JSON can hold it: numbers that are not finite, dates and others as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _sortable(values: tuple[Any, ...]) -> tuple[tuple[str, Any], ...]:
    """A key that sorts values of mixed types: numbers by size, then text by letters."""
    return tuple(
        ("", float(value)) if isinstance(value, (int, float)) else ("text", str(value))
        for value in values
    )
