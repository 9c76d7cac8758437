"""A receipt against what it speaks of: its outputs, its input, its ledger, and some rows again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.engines.open import open_checked
from batchdigits.errors import (
    BatchdigitsError,
    BundleError,
    InterruptedRunError,
    IOFailedError,
    MissingExtraError,
    NoInputError,
    UnusableInputError,
    UsageError,
    worst_exit_code,
)
from batchdigits.files.commit import WrittenFile
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile, split_name
from batchdigits.rows.arrow import batch_of
from batchdigits.rows.contract import Rows
from batchdigits.rows.formats import find_format, open_source
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.scorer import Scorer
from batchdigits.store.choice import BundleChoice, open_store, packaged_bundle
from batchdigits.text import count_of, listing

TOLERANCE = 1e-6
"""How far a confidence may be from the one that was published: another processor's rounding."""

GOLDEN_PART = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class _Published:
    """What the outputs hold: `sample` of the predictions, and `unscored`: rows without any.

    `unscored` are the numbers (from 1) of the rows that the model gave no probability.
    """

    sample: pa.Table
    unscored: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of verifying one receipt.

    receipt           None where the file can't be read as one
    rescored          rows that were scored again
    worst_difference  the largest difference of a confidence; None when no row was scored again
    problems          what does not hold, none if the receipt does
    """

    receipt: Receipt | None
    rescored: int
    worst_difference: float | None
    problems: tuple[BatchdigitsError, ...]

    @property
    def exit_code(self) -> int:
        """0, or that of the worst problem."""
        return worst_exit_code(problem.exit_code for problem in self.problems)


def verify_file(
    path: Path,
    *,
    sample: int,
    bundle: str | None = None,
    store: str | None = None,
    input_path: Path | None = None,
) -> Verified:
    """Check the receipt in a file against the files it speaks of, and score some rows again.

    sample      how many rows to score again; none needs no bundle
    bundle      the receipt's bundle; None: the one with its digest in the store or the package
    input_path  where the input file is now; None: where the receipt says it was

    Everything that is wrong is in the result: UnusableInputError for what differs, NoInputError
    for what is missing, BundleError for the bundle. Raises UsageError and MissingExtraError.
    """
    try:
        receipt = Receipt.read(path)
    except (NoInputError, UnusableInputError, IOFailedError) as error:
        return Verified(None, 0, None, (error,))
    return verify_receipt(
        receipt,
        lambda: _open_scorer(receipt, bundle, store),
        sample=sample,
        input_path=input_path,
    )


def verify_receipt(
    receipt: Receipt,
    open_scorer: Callable[[], Scorer],
    *,
    sample: int,
    input_path: Path | None = None,
) -> Verified:
    """Check what a receipt says against the files, and score `sample` of its rows again.

    `open_scorer` opens the receipt's bundle; it is called only if there is a row to score and all
    files are those of the receipt. The rest is as in `verify_file`.
    """
    problems: list[BatchdigitsError] = []
    places = _sample(receipt.counts.rows_predicted, sample)
    published: _Published | None = None
    input_file: InputFile | None = None
    with _kept(problems):
        _check_output(receipt, receipt.predictions)
        _check_rejects(receipt)
        published = _check_ledger(receipt, places)
    with _kept(problems):
        input_file = _check_input(receipt, input_path)
    worst = None
    if published is not None and input_file is not None and len(places):
        with _kept(problems):
            scorer = open_scorer()
            scored = _score_again(receipt, input_file, scorer, places, published.unscored)
            worst = _compare(receipt, places, published.sample, scored)
    return Verified(receipt, 0 if worst is None else len(places), worst, tuple(problems))


def _open_scorer(receipt: Receipt, bundle: str | None, store: str | None) -> Scorer:
    """The scorer of the receipt's bundle, with the receipt's engine and columns.

    Raises BundleError if there is no bundle with the receipt's digest.
    """
    choice = BundleChoice(
        bundle=_find_bundle(receipt, store) if bundle is None else bundle,
        store=store,
        expect_digest=receipt.key.bundle["digest"],
        engine=receipt.engine,
    )
    file = choice.load()
    engine = open_checked(file, receipt.engine)
    return Scorer(engine, file.manifest.classes.array(), receipt.probabilities)


def _find_bundle(receipt: Receipt, store: str | None) -> Path:
    """The bundle with the receipt's digest among the store's of its name and the packaged one."""
    facts, folder = receipt.key.bundle, open_store(store)
    name, digest = facts["name"], facts["digest"]
    of_store = [folder.path(name, version) for version in folder.versions(name)]
    for path in (*of_store, packaged_bundle()):
        if path.is_file() and digest_file(path) == digest:
            return path
    raise BundleError(
        f"{receipt.path}: its bundle {name}@{facts['version']} ({digest}) is neither in the store "
        f"{folder.folder} nor inside the package; name it with --bundle, or its --store"
    )


@contextmanager
def _kept(problems: list[BatchdigitsError]) -> Iterator[None]:
    """Keep what is wrong with the files, and go on; what is wrong with the run is raised."""
    try:
        yield
    except (InterruptedRunError, MissingExtraError, UsageError):
        raise
    except BatchdigitsError as error:
        problems.append(error)


def _sample(rows: int, size: int) -> NDArray[np.int64]:
    """Up to `size` of `rows` places, ascending: always the same, spread and without a period."""
    if size >= rows:
        return np.arange(rows)
    return np.unique((np.arange(size) * GOLDEN_PART % 1 * rows).astype(np.int64))


def _check_output(receipt: Receipt, output: WrittenFile) -> None:
    if not output.path.is_file():
        raise NoInputError(
            f"{receipt.path}: its output {output.path} is missing; run predict again"
        )
    digest = digest_file(output.path)
    if digest != output.digest:
        raise UnusableInputError(
            f"{receipt.path}: its output {output.path} was changed: it has {digest}, the receipt "
            f"says {output.digest}; run predict again"
        )


def _check_rejects(receipt: Receipt) -> None:
    """The rejects are as promised; where none are promised there is no file of their name."""
    if receipt.rejects is not None:
        _check_output(receipt, receipt.rejects)
        return
    stem = receipt.path.name.removesuffix(".receipt.json")
    name = receipt.predictions.path.name
    suffix = name[len(split_name(name)[0]) :]
    stray = receipt.path.with_name(f"{stem}.rejects{suffix}")
    if os.path.lexists(stray):
        raise UnusableInputError(
            f"{receipt.path}: {stray} is there, and the receipt knows no rejects; remove it"
        )


def _check_input(receipt: Receipt, path: Path | None) -> InputFile | None:
    """The receipt's input, unchanged; None if it was standard input and is nowhere else."""
    if path is None and receipt.input == "-":
        return None
    where = Path(receipt.input) if path is None else path
    if not where.is_file():
        raise NoInputError(
            f"{receipt.path}: its input {where} is not there; say where it is now with --input"
        )
    digest = digest_file(where)
    if digest != receipt.input_digest:
        raise UnusableInputError(
            f"{receipt.path}: its input {where} was changed: it has {digest}, the receipt says "
            f"{receipt.input_digest}; run predict again"
        )
    (input_file,) = expand_inputs([str(where)]).inputs
    check_content(input_file)
    return input_file


def _check_ledger(receipt: Receipt, places: NDArray[np.int64]) -> _Published:
    """Count the outputs' rows; gives those at `places` of the predictions."""
    sample, predicted = _take(receipt.predictions.path, places)
    reasons: Counter[str] = Counter()
    unscored = []
    for rows, why in _rejects(receipt):
        reasons.update(why)
        pairs = zip(rows, why, strict=True)
        unscored += [int(row) for row, reason in pairs if reason == "no-probability"]
    counted = (predicted, reasons.total(), dict(reasons))
    stated = (
        receipt.counts.rows_predicted,
        receipt.counts.rows_rejected,
        dict(receipt.counts.reasons),
    )
    if counted != stated or sum(stated[:2]) != receipt.counts.rows_in:
        raise UnusableInputError(
            f"{receipt.path}: its ledger does not add up: it says "
            f"{count_of(receipt.counts.rows_in, 'row')} in, {_described(*stated)}; "
            f"the files hold {_described(*counted)}; run predict again"
        )
    return _Published(sample, np.array(unscored, np.int64))


def _described(predicted: int, rejected: int, reasons: dict[str, int]) -> str:
    by_reason = listing(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return f"{predicted} predicted, {rejected} rejected" + (f" ({by_reason})" if by_reason else "")


def _rejects(receipt: Receipt) -> Iterator[tuple[list[Any], list[str]]]:
    """Row numbers and reasons of the rejects file, batch by batch."""
    if receipt.rejects is not None:
        for batch in _read(receipt.rejects.path, ["row", "reason"]):
            yield batch["row"].to_pylist(), batch["reason"].to_pylist()


def _score_again(
    receipt: Receipt,
    input_file: InputFile,
    scorer: Scorer,
    places: NDArray[np.int64],
    unscored: NDArray[np.int64],
) -> pa.Table:
    """The rows of the input that are at `places` of the predictions, scored."""
    opened = open_source(input_file, receipt.read_options)
    parts = [scorer.schema(pa.schema([])).empty_table()]
    rows_in = predicted = 0
    with closing(opened.source) as source:
        for block in source.blocks():
            rows = source.check(block)
            kept = np.flatnonzero(~np.isin(rows.offsets + (rows_in + 1), unscored))
            first, last = np.searchsorted(places, (predicted, predicted + len(kept)))
            chosen = kept[places[first:last] - predicted]
            parts.append(_score(scorer, rows, chosen))
            rows_in += rows.rows
            predicted += len(kept)
    opened.verify_unchanged()
    counts = receipt.counts
    if (rows_in, predicted) != (counts.rows_in, counts.rows_predicted):
        raise UnusableInputError(
            f"{receipt.path}: {input_file.name} has {count_of(rows_in, 'row')}, {predicted} of "
            f"them scorable; the receipt says {counts.rows_in} and {counts.rows_predicted}; "
            "run predict again"
        )
    return pa.concat_tables(parts)


def _score(scorer: Scorer, rows: Rows, chosen: NDArray[np.intp]) -> pa.Table:
    """Some rows of a checked batch, scored, without their other columns."""
    none = batch_of([], len(chosen), pa.schema([]))
    pixels: Any = rows.pixels[chosen]  # of either dtype
    scored = scorer.score(Rows(pixels, none, (), none.slice(0, 0), len(chosen)))
    return pa.Table.from_batches([scored.predictions])


def _compare(
    receipt: Receipt, places: NDArray[np.int64], published: pa.Table, scored: pa.Table
) -> float:
    """The largest difference of a confidence. Raises UnusableInputError if any row differs."""
    if scored.num_rows != published.num_rows:
        raise UnusableInputError(
            f"{receipt.path}: of {count_of(published.num_rows, 'prediction')} the bundle gives "
            f"only {scored.num_rows} a probability; run predict again"
        )
    labels = [_texts(table["prediction"]) for table in (published, scored)]
    confidences = [_floats(table["confidence"]) for table in (published, scored)]
    differences = np.abs(confidences[0] - confidences[1])
    same = np.array([one == other for one, other in zip(*labels, strict=True)], np.bool_)
    wrong = np.flatnonzero(~(same & (differences <= TOLERANCE)))
    if len(wrong):
        shown = (
            f"prediction {places[i] + 1} is {labels[0][i]} ({confidences[0][i]:.6f}), scored again "
            f"{labels[1][i]} ({confidences[1][i]:.6f})"
            for i in wrong
        )
        raise UnusableInputError(
            f"{receipt.path}: {len(wrong)} of {count_of(len(places), 'row')} scored again differ: "
            f"{listing(shown)}; run predict again"
        )
    return float(differences.max(initial=0))


def _texts(column: pa.ChunkedArray) -> list[str]:
    texts: list[str] = column.cast(pa.string()).to_pylist()
    return texts


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Confidences as they were written, in float32, for exact differences in float64."""
    return np.array(column.cast(pa.float32()).to_pylist(), np.float64)


def _take(path: Path, places: NDArray[np.int64]) -> tuple[pa.Table, int]:
    """Prediction and confidence at ascending `places` of a file, and how many rows it has."""
    columns = ["prediction", "confidence"]
    parts = []
    count = 0
    for batch in _read(path, columns):
        first, last = np.searchsorted(places, (count, count + batch.num_rows))
        parts.append(batch.take(pa.array(places[first:last] - count)))
        count += batch.num_rows
    return (pa.Table.from_batches(parts) if parts else pa.table({c: [] for c in columns})), count


def _read(path: Path, columns: list[str]) -> Iterator[Any]:
    """Record batches of some columns of an output file: as typed in Parquet, as text from CSV."""
    _, kind, _ = split_name(path.name)
    if kind is None:
        raise UnusableInputError(f"{path}: its suffix names no format; run predict again")
    try:
        yield from find_format(kind).read_columns(path, columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        detail = " ".join(str(error).split())
        raise UnusableInputError(f"{path}: can't be read ({detail}); run predict again") from error
