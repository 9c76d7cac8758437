"""The application of journals: predictions become reviewed predictions, with a receipt."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.clock import utc_text
from batchdigits.errors import NoInputError, OutputError, UnusableInputError
from batchdigits.files.digest import digest_file, refuse_changes
from batchdigits.files.names import split_name, visible
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.targets import Targets
from batchdigits.files.written import WrittenFile
from batchdigits.review.certificate import Certificate, certify
from batchdigits.review.document import DOCUMENT, Review
from batchdigits.review.journal import CANT_TELL, NOT_A_DIGIT, SUFFIX, Journal, read_journal
from batchdigits.review.merge import Merged, Settled, merge
from batchdigits.review.receipt import ReviewedReceipt
from batchdigits.rows.formats import find_format
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.rows.rejects import written_name
from batchdigits.scoring.published import Predictions, open_predictions

DECIDED = ("decided_by", "decided_who", "decided_at")
"""The columns that a reviewed file has besides those of the predictions."""

MODEL, AGREED, REVIEWER = "model", "agreed", "reviewer"
"""Who decided: nobody looked; a reviewer agreed with the model; a reviewer decided otherwise."""

_DISPUTED = -3
_CAUSES = {CANT_TELL: "cant-tell", NOT_A_DIGIT: "not-a-digit", _DISPUTED: "disputed"}
"""Why a row is still to review although reviewers saw it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A review with its journals and what they decided together."""

    folder: Path
    review: Review
    journals: tuple[Journal, ...]
    merged: Merged
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Applied:
    """A reviewed file; `status` is `reviewed`, or `unchanged` if it was there already."""

    output: Path
    receipt: ReviewedReceipt
    status: str


def open_journals(paths: Sequence[Path], folder: Path | None = None) -> Opened:
    """Read the journals of one review, and merge them.

    paths   journals, or folders of them
    folder  the review's folder; None: the one in which the first journal is

    Raises UsageError, NoInputError or UnusableInputError.
    """
    files = [file for path in paths for file in _journals_of(path)]
    folder = folder or files[0].parent
    review = Review.read(folder)
    journals = tuple(read_journal(file, review) for file in files)
    merged = merge(journals, review)
    return Opened(folder, review, journals, merged, certify(merged, review))


def apply_journals(opened: Opened, *, overwrite: bool = False) -> list[Applied]:
    """Write the reviewed file of each file of predictions, and its receipt.

    Everything is checked before anything is written. Raises NoInputError or UnusableInputError for
    predictions that are missing or changed, TryAgainError if they change while they are read,
    OutputError for a reviewed file that was changed by hand, or that holds decisions of a reviewer
    whose journal is not given.
    """
    files = [open_reviewed(opened, number) for number in range(len(opened.review.files))]
    works = [_Work(opened, number, file) for number, file in enumerate(files)]
    for work in works:
        work.check()
    return [work.run(overwrite=overwrite) for work in works]


def open_reviewed(opened: Opened, number: int) -> Predictions:
    """Open a file of predictions of a review. Raises UnusableInputError if it was changed."""
    file = opened.review.files[number]
    path = Path(os.path.normpath(opened.folder / file.path))
    if not path.is_file():
        raise NoInputError(
            f"{path}: the predictions that {opened.folder / DOCUMENT} was made of are missing; put "
            "them back: the path is relative to the review's folder"
        )
    if digest_file(path) != file.digest:
        raise UnusableInputError(
            f"{path}: was changed since the review was made of it; nothing was written; restore "
            "it, or make the review again"
        )
    return open_predictions(path)


def decisions_of(opened: Opened, number: int) -> dict[int, Settled]:
    """Return the settled cells of one file by their place among its predictions."""
    cells = opened.review.cells
    return {
        cells[cell].place: decision
        for cell, decision in opened.merged.settled.items()
        if cells[cell].file == number
    }


def _journals_of(path: Path) -> list[Path]:
    if not path.exists():  # else a folder's name with a slip is a journal of this folder's review
        raise NoInputError(
            f"{path}: no such file or folder; name journals, or the folder that `review make` wrote"
        )
    if not path.is_dir():
        return [path]
    found = visible(path, f"*{SUFFIX}")
    if not found:
        raise NoInputError(f"{path}: no journal in this folder; expected NAME{SUFFIX}")
    return found


class _Work:
    """One file of predictions, and what becomes of it."""

    def __init__(self, opened: Opened, number: int, file: Predictions) -> None:
        self._opened = opened
        self._file = file
        self._decisions = decisions_of(opened, number)
        cells = opened.review.cells
        open_again = (*opened.merged.disputed, *opened.merged.doubts)
        self._disputed = {cells[cell].place for cell in open_again if cells[cell].file == number}
        name, kind, compression = split_name(file.path.name)
        suffix = file.path.name[len(name) :]
        self._targets = Targets(
            predictions=file.path.with_name(f"{file.stem}.reviewed{suffix}"),
            rejects=file.path.with_name(f"{file.stem}.reviewed.rejects{suffix}"),
            receipt=file.path.with_name(f"{file.stem}.reviewed.receipt.json"),
            kind=str(kind),
            compression=compression,
        )
        self._place = LocalFolder(self._targets)

    def check(self) -> None:
        """Refuse names that can't be written, and columns that are taken."""
        self._place.check()
        refuse_reserved(self._file.schema.names, DECIDED, str(self._file.path))

    def run(self, *, overwrite: bool) -> Applied:
        """Write the file, unless it is there already."""
        started, output = time.time(), self._targets.predictions
        with self._place.held():
            old = ReviewedReceipt.read_or_none(self._targets.receipt)
            wanted = self._receipt(Counter(), started)
            if old is not None and old.is_same_work(wanted) and old.output_matches():
                return Applied(output, old, "unchanged")
            is_there = output.exists() or self._targets.receipt.exists()
            if is_there and not overwrite:
                self._refuse_foreign(old)
            counts: Counter[str] = Counter()
            with refuse_changes({self._file.path: self._file.receipt.predictions.digest}):
                written = self._write(counts)
            receipt = self._receipt(counts, started)
            self._place.publish([written], receipt.facts(), overwrite=overwrite or is_there)
        return Applied(output, receipt, "reviewed")

    def _refuse_foreign(self, old: ReviewedReceipt | None) -> None:
        """Refuse to replace a file unless all that went into it goes into the new one too."""
        output = self._targets.predictions
        fix = "move it away, or replace it with --overwrite"
        if old is None:
            raise OutputError(f"{output}: exists, and no receipt says what it came from; {fix}")
        if output.exists() and not old.output_matches():
            raise OutputError(f"{output}: was changed since it was written; {fix}")
        given = {journal.reviewer for journal in self._opened.journals}
        missing = [name for name in old.reviewers if name not in given]
        if missing:
            raise OutputError(
                f"{output}: holds decisions of {', '.join(missing)}, whose journal is not given; "
                f"name it too; or {fix}"
            )

    def _receipt(self, counts: Mapping[str, int], started: float) -> ReviewedReceipt:
        opened, file = self._opened, self._file
        return ReviewedReceipt(
            predictions=(file.path.name, file.receipt.predictions.digest),
            review=(_relative(opened.folder / DOCUMENT, file.path), opened.review.digest),
            journals=tuple(
                (_relative(journal.path, file.path), journal.digest, journal.reviewer)
                for journal in opened.journals
            ),
            bundle={name: file.receipt.key.bundle[name] for name in ("name", "version", "digest")},
            rows=file.rows,
            counts=dict(counts),
            review_counts=opened.merged.counts(opened.review),
            certificate=opened.certificate.facts(),
            times={
                "started": utc_text(started),
                "finished": utc_text(),
                "seconds": round(time.time() - started, 3),
            },
        )

    def _write(self, counts: Counter[str]) -> WrittenFile:
        """Write the temporary of the reviewed file; count its rows by who decided them."""
        schema = self._file.schema
        columns = pa.schema([*schema, *(pa.field(name, pa.string()) for name in DECIDED)])
        stream = self._place.open(self._targets.predictions)
        try:
            sink = find_format(self._targets.kind).open_sink(
                stream, columns, frozenset({"prediction", "decision", "cause", *DECIDED})
            )
            for batch in self._reviewed(columns, counts):
                sink.write(sink.encode(batch))
            sink.close()
            stream.close()
        except BaseException:
            stream.abort()
            raise
        path, digest = self._targets.predictions, stream.digest()
        return WrittenFile(path, digest, stream.bytes_written, stream.inode)

    def _reviewed(self, schema: pa.Schema, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
        """Yield the predictions with the decisions in them."""
        places = np.array(sorted({*self._decisions, *self._disputed}), np.int64)
        labels = pa.array(self._opened.review.labels)
        try:
            labels = labels.cast(schema.field("prediction").type)
        except pa.ArrowInvalid as error:
            raise UnusableInputError(
                f"{self._opened.folder / DOCUMENT}: damaged: its labels are not those of the "
                "predictions; make it again with `review make`"
            ) from error
        start = 0
        for batch in self._file.batches(self._file.schema.names):
            first, last = np.searchsorted(places, (start, start + batch.num_rows))
            decisions = {
                place - start: self._decisions.get(place) for place in places[first:last].tolist()
            }
            start += batch.num_rows
            result = reviewed_batch(batch, decisions, schema, labels)
            counted = result["decided_by"].value_counts().to_pylist()
            counts.update({each["values"]: each["counts"] for each in counted})
            yield result


def reviewed_batch(
    batch: pa.RecordBatch,
    decisions: Mapping[int, Settled | None],
    schema: pa.Schema,
    labels: pa.Array,
) -> pa.RecordBatch:
    """Return a batch of predictions with the decisions on some of its rows.

    decisions  by row of the batch; None: reviewers disagree, which leaves the prediction as it is
    schema     of the result: the columns of the batch, and DECIDED
    labels     the classes, of the type of the column `prediction`
    """
    rows = np.array(sorted(decisions), np.int64)
    done = [decisions[row] for row in rows.tolist()]
    read = batch["prediction"].take(pa.array(rows)).to_pylist()
    names = labels.to_pylist()
    result = [
        old if each is None or each.value == CANT_TELL else _label(each.value, names)
        for each, old in zip(done, read, strict=True)
    ]
    by = [_decided_by(each, old, names) for each, old in zip(done, read, strict=True)]
    causes = [_CAUSES.get(_DISPUTED if each is None else each.value) for each in done]
    nobody = pa.nulls(batch.num_rows, pa.string())
    changed = {
        "prediction": _replaced(batch["prediction"], rows, result),
        "decision": _replaced(
            batch["decision"], rows, ["review" if cause else "accept" for cause in causes]
        ),
        # A CSV has no null: an empty cell.
        "cause": _replaced(batch["cause"], rows, causes),
        "decided_by": _replaced(pa.repeat(MODEL, batch.num_rows), rows, by),
        "decided_who": _replaced(
            nobody, rows, [each and written_name(",".join(each.by)) for each in done]
        ),
        "decided_at": _replaced(nobody, rows, [each and each.at for each in done]),
    }
    columns = [changed[name] if name in changed else batch[name] for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _label(value: int, names: Sequence[Any]) -> Any:
    return None if value == NOT_A_DIGIT else names[value]


def _decided_by(decision: Settled | None, read: Any, names: Sequence[Any]) -> str:
    if decision is None:
        return MODEL
    return AGREED if decision.value >= 0 and names[decision.value] == read else REVIEWER


def _replaced(column: pa.Array, rows: NDArray[np.int64], values: Sequence[Any]) -> pa.Array:
    """Return a column with other values in some rows."""
    places = np.arange(len(column))
    places[rows] = len(column) + np.arange(len(rows))
    both = pa.concat_arrays([column, pa.array(values, column.type)])
    return both.take(pa.array(places))


def _relative(path: Path, beside: Path) -> str:
    return os.path.relpath(path.absolute(), beside.absolute().parent)
