"""The check of a receipt: its files and counts must match it, and so must rows scored again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile, split_name
from batchdigits.files.written import WrittenFile
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.rescore import (
    Sample,
    choose_places,
    read_predictions,
    read_rejects,
    score_again,
)
from batchdigits.scoring.scorer import Scorer
from batchdigits.store.choice import BundleChoice, open_store, packaged_bundle
from batchdigits.text import count_of, listing


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of verifying a receipt.

    receipt           None if the file can't be read as a receipt
    rescored          rows that were scored again
    worst_difference  the largest difference of a confidence; None if no row was scored again
    problems          everything that does not match
    """

    receipt: Receipt | None
    rescored: int
    worst_difference: float | None
    problems: tuple[BatchdigitsError, ...]

    @property
    def exit_code(self) -> int:
        return worst_exit_code(problem.exit_code for problem in self.problems)


def verify_file(
    path: Path,
    *,
    sample: int,
    bundle: str | None = None,
    store: str | None = None,
    input_path: Path | None = None,
) -> Verified:
    """Check a receipt against its files, and score some rows again.

    The bundle is opened only if all files match the receipt and there is a row to score.

    sample      the most rows to score again; 0 needs no bundle
    bundle      the receipt's bundle; None: the one with its digest in the store or the package
    input_path  where the input file is now; None: where the receipt says it was

    The result holds every problem: UnusableInputError for a difference, NoInputError for a missing
    file, BundleError for the bundle. Raises UsageError and MissingExtraError.
    """
    try:
        receipt = Receipt.read(path)
    except (NoInputError, UnusableInputError, IOFailedError) as error:
        return Verified(None, 0, None, (error,))
    problems: list[BatchdigitsError] = []
    published: Sample | None = None
    input_file: InputFile | None = None
    with _collected(problems):
        check_output(receipt, receipt.predictions)
        _check_rejects(receipt)
        published = _check_ledger(receipt, sample)
    with _collected(problems):
        input_file = find_input(receipt, input_path)
    worst, rescored = None, 0
    if published is not None and input_file is not None and len(published.places):
        with _collected(problems):
            scorer = _open_scorer(receipt, bundle, store)
            worst = score_again(receipt, input_file, scorer, published)
            rescored = len(published.places)
    return Verified(receipt, rescored, worst, tuple(problems))


def _open_scorer(receipt: Receipt, bundle: str | None, store: str | None) -> Scorer:
    """Open the receipt's bundle with the receipt's engine and columns.

    Raises BundleError if no bundle has the receipt's digest.
    """
    options = receipt.key.options
    choice = BundleChoice(
        bundle=find_bundle(receipt, store) if bundle is None else bundle,
        store=store,
        expect_digest=receipt.key.bundle["digest"],
        engine=options["engine"],
    )
    file = choice.load()
    engine = open_checked(file, options["engine"])
    return Scorer(engine, file.manifest.classes.array(), options["probabilities"])


def find_bundle(receipt: Receipt, store: str | None) -> Path:
    """Find the bundle with the receipt's digest, in the store or inside the package.

    Raises BundleError if it is in neither.
    """
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
def _collected(problems: list[BatchdigitsError]) -> Iterator[None]:
    """Collect a problem of the files and go on; a problem of the whole run is raised."""
    try:
        yield
    except (InterruptedRunError, MissingExtraError, UsageError):
        raise
    except BatchdigitsError as error:
        problems.append(error)


def check_output(receipt: Receipt, output: WrittenFile) -> None:
    """Raise NoInputError for a missing output, UnusableInputError for one that was changed."""
    size = _size(output.path)
    if size is None:
        raise NoInputError(
            f"{receipt.path}: its output {output.path} is missing; run predict again"
        )
    if size != output.bytes:
        raise UnusableInputError(
            f"{receipt.path}: its output {output.path} was changed: it has {size} bytes, the "
            f"receipt says {output.bytes}; run predict again"
        )
    digest = digest_file(output.path)
    if digest != output.digest:
        raise UnusableInputError(
            f"{receipt.path}: its output {output.path} was changed: it has {digest}, the receipt "
            f"says {output.digest}; run predict again"
        )


def _size(path: Path) -> int | None:
    """The size of a regular file in bytes; None if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a NUL in the name
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _check_rejects(receipt: Receipt) -> None:
    """Check the rejects; a receipt without rejects must have no file of that name."""
    if receipt.rejects is not None:
        check_output(receipt, receipt.rejects)
        return
    stem = receipt.path.name.removesuffix(".receipt.json")
    name = receipt.predictions.path.name
    suffix = name[len(split_name(name)[0]) :]
    stray = receipt.path.with_name(f"{stem}.rejects{suffix}")
    if os.path.lexists(stray):
        raise UnusableInputError(
            f"{receipt.path}: {stray} exists, but the receipt has no rejects; remove it"
        )


def find_input(receipt: Receipt, path: Path | None) -> InputFile | None:
    """Return the receipt's unchanged input; None for standard input without a copy in `path`.

    Raises NoInputError if it is missing, UnusableInputError if it was changed.
    """
    if path is None and receipt.input == "-":
        return None
    where = Path(receipt.input) if path is None else path
    if _size(where) is None:
        raise NoInputError(
            f"{receipt.path}: its input {where} is missing; if it was moved, name it with --input"
        )
    digest = digest_file(where)
    if digest != receipt.input_digest:
        raise UnusableInputError(
            f"{receipt.path}: its input {where} was changed: it has {digest}, the receipt says "
            f"{receipt.input_digest}; run predict again"
        )
    (input_file,) = expand_inputs([str(where)]).inputs
    check_content(input_file)
    return replace(input_file, partitions=receipt.key.partitions)


def _check_ledger(receipt: Receipt, sample: int) -> Sample:
    """Count the rows of the outputs, and read up to `sample` predictions."""
    places = choose_places(receipt.counts.rows_predicted, sample)
    predictions, predicted = read_predictions(receipt.predictions.path, places)
    reasons, unscored = read_rejects(receipt)
    counted = (predicted, reasons.total(), dict(reasons))
    counts = receipt.counts
    stated = (counts.rows_predicted, counts.rows_rejected, dict(counts.reasons))
    if counted != stated or not counts.add_up:
        raise UnusableInputError(
            f"{receipt.path}: its ledger does not add up: it says "
            f"{count_of(counts.rows_in, 'row')} in, {_described(*stated)}; "
            f"the files hold {_described(*counted)}; run predict again"
        )
    return Sample(places, predictions, unscored)


def _described(predicted: int, rejected: int, reasons: dict[str, int]) -> str:
    by_reason = listing(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    return f"{predicted} predicted, {rejected} rejected" + (f" ({by_reason})" if by_reason else "")
