"""A sample of published predictions, scored again and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.files.names import InputFile, split_name
from batchdigits.rows.arrow import batch_of
from batchdigits.rows.contract import Format, Pixels, Rows
from batchdigits.rows.formats import find_format, open_source
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.scorer import Scorer
from batchdigits.text import count_of, listing

TOLERANCE = 1e-6
"""The largest difference of a confidence that the rounding of another processor explains."""

_GOLDEN_RATIO = (5**0.5 - 1) / 2


class Sample(NamedTuple):
    """Some published predictions, and what it takes to find their rows in the input.

    places       int64 (n,): the places among all predictions, from 0, ascending
    predictions  the columns `prediction` and `confidence`, n rows
    unscored     int64: the numbers, from 1, of the input's rows that the model gave no probability
    """

    places: NDArray[np.int64]
    predictions: pa.Table
    unscored: NDArray[np.int64]


def choose_places(rows: int, size: int) -> NDArray[np.int64]:
    """Choose up to `size` of `rows` places, ascending: the same each time, spread, not periodic."""
    if size >= rows:
        return np.arange(rows)
    return np.unique((np.arange(size) * _GOLDEN_RATIO % 1 * rows).astype(np.int64))


def read_output(path: Path, columns: list[str]) -> Iterator[Any]:
    """Yield record batches of some columns of an output: typed from Parquet, text from CSV.

    Raises UnusableInputError if the file can't be read.
    """
    with _readable(path) as file_format:
        yield from file_format.read_columns(path, columns)


def output_schema_of(path: Path) -> pa.Schema:
    """Return the schema of an output: typed of Parquet, text of CSV.

    Raises UnusableInputError if the file can't be read.
    """
    with _readable(path) as file_format:
        return file_format.read_schema(path)


@contextmanager
def _readable(path: Path) -> Iterator[Format]:
    _, kind, _ = split_name(path.name)
    if kind is None:
        raise UnusableInputError(f"{path}: its suffix names no format; run predict again")
    try:
        yield find_format(kind)
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise UnusableInputError(f"{path}: can't be read ({detail}); run predict again") from error


def read_rejects(receipt: Receipt) -> tuple[Counter[str], NDArray[np.int64]]:
    """Count the rejects by their reasons, and return the rows that the model gave no probability.

    The rows are int64 numbers in the input, from 1. Raises UnusableInputError if the file can't be
    read.
    """
    reasons: Counter[str] = Counter()
    unscored = [np.zeros(0, np.int64)]
    if receipt.rejects is not None:
        path = receipt.rejects.path
        with _readable(path) as file_format:
            for batch in file_format.read_columns(path, ["row", "reason"]):
                reason = batch["reason"].cast(pa.string())
                counted = reason.value_counts().to_pylist()
                reasons.update({str(each["values"]): each["counts"] for each in counted})
                rows = batch["row"].filter(pc.equal(reason, "no-probability"))
                unscored.append(rows.cast(pa.int64()).to_numpy())
    return reasons, np.concatenate(unscored)


def read_predictions(path: Path, places: NDArray[np.int64]) -> tuple[pa.Table, int]:
    """Read prediction and confidence at ascending places, and count the file's rows."""
    columns = ["prediction", "confidence"]
    parts = []
    count = 0
    for batch in read_output(path, columns):
        first, last = np.searchsorted(places, (count, count + batch.num_rows))
        parts.append(batch.take(pa.array(places[first:last] - count)))
        count += batch.num_rows
    empty: dict[str, list[Any]] = {column: [] for column in columns}
    return (pa.Table.from_batches(parts) if parts else pa.table(empty)), count


def score_again(receipt: Receipt, input_file: InputFile, scorer: Scorer, sample: Sample) -> float:
    """Score the sample's rows again, and return the largest difference of a confidence.

    Raises UnusableInputError if the input has other rows, or if a row gets another prediction or a
    confidence beyond TOLERANCE.
    """
    scored = _score_rows(receipt, input_file, scorer, sample)
    published = sample.predictions
    if scored.num_rows != published.num_rows:
        raise UnusableInputError(
            f"{receipt.path}: of {count_of(published.num_rows, 'prediction')} the bundle gives "
            f"only {scored.num_rows} a probability; run predict again"
        )
    was, now = _labels(published), _labels(scored)
    before, after = _confidences(published), _confidences(scored)
    differences = np.abs(before - after)
    same = np.array([old == new for old, new in zip(was, now, strict=True)], np.bool_)
    wrong = np.flatnonzero(~(same & (differences <= TOLERANCE)))
    if len(wrong):
        shown = (
            f"prediction {sample.places[i] + 1} is {was[i]} ({before[i]:.6f}), scored again "
            f"{now[i]} ({after[i]:.6f})"
            for i in wrong
        )
        raise UnusableInputError(
            f"{receipt.path}: {len(wrong)} of {count_of(len(sample.places), 'row')} scored again "
            f"differ: {listing(shown)}; run predict again"
        )
    return float(differences.max(initial=0))


def _score_rows(
    receipt: Receipt, input_file: InputFile, scorer: Scorer, sample: Sample
) -> pa.Table:
    parts = [scorer.schema(pa.schema([])).empty_table()]
    for pixels, _ in read_rows(receipt, input_file, sample.places, sample.unscored):
        parts.append(_score(scorer, pixels))
    return pa.concat_tables(parts)


def read_rows(
    receipt: Receipt,
    input_file: InputFile,
    places: NDArray[np.int64],
    unscored: NDArray[np.int64],
) -> Iterator[tuple[Pixels, NDArray[np.int64]]]:
    """Yield pixels (n, 64), and their numbers (n,) in the input, of some predictions' rows.

    places    int64: the places among all predictions, from 0, ascending
    unscored  int64: the numbers, from 1, of the input's rows that the model gave no probability

    Raises as sources do, and UnusableInputError at the end if the input has other rows than the
    receipt says.
    """
    source = open_source(input_file, receipt.read_options)
    rows_in = predicted = 0
    with closing(source):
        for block in source.blocks():
            rows = source.check(block)
            numbers = rows.offsets + (rows_in + 1)
            kept = np.flatnonzero(~np.isin(numbers, unscored))
            first, last = np.searchsorted(places, (predicted, predicted + len(kept)))
            chosen = kept[places[first:last] - predicted]
            pixels: Any = rows.pixels[chosen]  # of either dtype
            yield pixels, numbers[chosen]
            rows_in += rows.rows
            predicted += len(kept)
    source.verify_unchanged()
    counts = receipt.counts
    if (rows_in, predicted) != (counts.rows_in, counts.rows_predicted):
        raise UnusableInputError(
            f"{receipt.path}: {input_file.name} has {count_of(rows_in, 'row')}, {predicted} of "
            f"them scorable; the receipt says {counts.rows_in} and {counts.rows_predicted}; "
            "run predict again"
        )


def _score(scorer: Scorer, pixels: Pixels) -> pa.Table:
    """Score rows without other columns."""
    no_columns = batch_of([], len(pixels), pa.schema([]))
    scored = scorer.score(Rows(pixels, no_columns, (), no_columns.slice(0, 0), len(pixels)))
    return pa.Table.from_batches([scored.predictions])


def _labels(table: pa.Table) -> list[str]:
    labels: list[str] = table["prediction"].cast(pa.string()).to_pylist()
    return labels


def _confidences(table: pa.Table) -> NDArray[np.float64]:
    """Return confidences as written, in float32, for exact differences in float64."""
    return np.array(table["confidence"].cast(pa.float32()).to_pylist(), np.float64)
