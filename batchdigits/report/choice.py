"""The choice of digits for a page: the least certain and the strangest rows of some runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import BatchdigitsError
from batchdigits.report.digits import Digits, ShownDigit
from batchdigits.scoring.published import Predictions
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.replay import check_output

SHOWN = 36
"""Digits of each list."""

MOST_ROWS = 1_000_000
"""Rows of all runs among which digits are looked for: it takes about a second."""


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The rows of one run that come first by some measure, n of them.

    measures  float64 (n,): the lower, the earlier
    places    int64 (n,): among the run's predictions
    """

    file: Predictions
    measures: NDArray[np.float64]
    places: NDArray[np.int64]


def find_digits(receipts: Sequence[Receipt]) -> Digits:
    """Return the digits that need a look, of the runs whose files are as the receipts say."""
    rows = sum(receipt.counts.rows_predicted for receipt in receipts)
    if rows > MOST_ROWS:
        return Digits(
            note=f"These are {rows:,} rows. Pictures of doubtful digits are shown up to "
            f"{MOST_ROWS:,}; a review shows them all."
        )
    least_certain, strangest, gone = [], [], 0
    for receipt in receipts:
        if not receipt.counts.rows_predicted:
            continue
        try:
            check_output(receipt, receipt.predictions)
            file = Predictions(receipt.predictions.path, receipt)
            least_certain.append(_first(file, "confidence"))
            if "strangeness" in file.schema.names:
                strangest.append(_first(file, "strangeness", sign=-1))
        except BatchdigitsError:
            gone += 1
    note = ""
    if gone:
        note = (
            f"The files of {gone} of {len(receipts)} receipts were moved or changed since: their "
            "digits are not shown."
        )
    lists = (
        ("The least certain digits", _shown(least_certain, "confidence")),
        ("The strangest digits", _shown(strangest, "strangeness")),
    )
    return Digits(lists, note)


def _first(file: Predictions, column: str, *, sign: int = 1) -> _Candidates:
    """Return the rows of a run with the least values of a column; the largest if `sign` is -1."""
    parts = [batch[column].cast(pa.float64()).to_numpy() for batch in file.batches([column])]
    measures = sign * np.concatenate(parts)
    places = np.sort(np.argsort(measures, kind="stable")[:SHOWN])
    return _Candidates(file, measures[places], places)


def _shown(candidates: Sequence[_Candidates], column: str) -> list[ShownDigit]:
    """Return the first rows of all runs, without those whose pixels are gone."""
    measures = np.concatenate([np.zeros(0), *(each.measures for each in candidates)])
    limit = np.sort(measures)[:SHOWN][-1] if len(measures) else math.inf
    found: list[tuple[float, ShownDigit]] = []
    for each in candidates:
        chosen = each.measures <= limit
        places, values = each.places[chosen], each.measures[chosen]
        if not len(places):
            continue
        try:
            pixels, _ = each.file.pixels(places)
            read = each.file.take(["prediction"], places)["prediction"].to_pylist()
        except BatchdigitsError:
            continue
        for row, value, label in zip(pixels, values.tolist(), read, strict=True):
            words = f"{label}, {column} {abs(value):.4g}"
            found.append((value, ShownDigit(np.rint(row).astype(int).tolist(), words)))
    found.sort(key=lambda pair: pair[0])
    return [digit for _, digit in found[:SHOWN]]
