"""The fields that chosen cells are part of: neighbours in the file with the same group values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.rows.arrow import changes
from batchdigits.scoring.published import Predictions

LONGEST_FIELD = 32
"""Cells of a field that are shown; of a longer one those around the cell in question."""


@dataclass(frozen=True, slots=True)
class FieldPlaces:
    """One field: the values of its group columns, and the places of its cells, ascending."""

    of: Mapping[str, str]
    places: tuple[int, ...]


def find_fields(
    file: Predictions, columns: Sequence[str], places: NDArray[np.int64]
) -> dict[int, FieldPlaces]:
    """Return the field of each of some places, ascending.

    A field is a run of rows that follow each other and have the same values in `columns`. Raises
    UnusableInputError for a missing column.
    """
    if not columns or not len(places):
        return {}
    starts = _starts(file, columns)
    ends = np.append(starts[1:], file.rows)
    runs = np.searchsorted(starts, places, side="right") - 1
    names = file.take(columns, places)
    result = {}
    for at, (place, run) in enumerate(zip(places.tolist(), runs.tolist(), strict=True)):
        first = max(int(starts[run]), place - LONGEST_FIELD // 2)
        last = min(int(ends[run]), first + LONGEST_FIELD)
        of = {name: _text(names[name][at]) for name in columns}
        result[place] = FieldPlaces(of, tuple(range(first, last)))
    return result


def _starts(file: Predictions, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return the places at which a field begins, ascending."""
    starts, count, before = [np.zeros(1, np.int64)], 0, None
    for batch in file.batches(columns):
        if not batch.num_rows:
            continue
        differs = np.zeros(batch.num_rows, np.bool_)
        for name in columns:
            differs[1:] |= changes(batch[name])
        here = [batch[name][0] for name in columns]
        differs[0] = before is not None and before != here
        starts.append(np.flatnonzero(differs) + count)
        before = [batch[name][batch.num_rows - 1] for name in columns]
        count += batch.num_rows
    return np.concatenate(starts)


def _text(value: pa.Scalar) -> str:
    return "" if value.as_py() is None else str(value.as_py())[:200]
