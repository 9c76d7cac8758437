"""The check of a reviewed file's receipt: its files and its certificate must match it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from batchdigits.errors import (
    BatchdigitsError,
    IOFailedError,
    NoInputError,
    UnusableInputError,
    worst_exit_code,
)
from batchdigits.files.digest import digest_file
from batchdigits.review.apply import open_journals
from batchdigits.review.receipt import ReviewedReceipt


@dataclass(frozen=True, slots=True)
class VerifiedReview:
    """The result of verifying the receipt of a reviewed file.

    receipt   None if the file can't be read as one
    problems  everything that does not match
    """

    receipt: ReviewedReceipt | None
    problems: tuple[BatchdigitsError, ...]

    @property
    def exit_code(self) -> int:
        return worst_exit_code(problem.exit_code for problem in self.problems)


def verify_reviewed(path: Path) -> VerifiedReview:
    """Check a receipt of `review apply` against its files, and compute its certificate again.

    The result holds every problem: UnusableInputError for a difference, NoInputError for a missing
    file.
    """
    try:
        receipt = ReviewedReceipt.read(path)
    except (NoInputError, UnusableInputError, IOFailedError) as error:
        return VerifiedReview(None, (error,))
    folder, problems = path.parent, []
    files = [
        (receipt.output.path, receipt.output.digest, "output"),
        (folder / receipt.predictions[0], receipt.predictions[1], "predictions"),
        (folder / receipt.review[0], receipt.review[1], "review"),
        *((folder / name, digest, "journal") for name, digest, _ in receipt.journals),
    ]
    for file, digest, what in files:
        try:
            _check_file(path, file, digest, what)
        except BatchdigitsError as error:
            problems.append(error)
    if not problems:
        try:
            _check_certificate(receipt)
        except BatchdigitsError as error:
            problems.append(error)
    return VerifiedReview(receipt, tuple(problems))


def _check_file(receipt: Path, file: Path, digest: str, what: str) -> None:
    if not file.is_file():
        raise NoInputError(
            f"{receipt}: its {what} {file} is missing; put it back, or run `review apply` again"
        )
    now = digest_file(file)
    if now != digest:
        fix = {
            "predictions": "they were replaced after the review: make a review of the new ones",
            "journal": "run `review apply` again if the review went on",
        }.get(what, "run `review apply` again")
        raise UnusableInputError(
            f"{receipt}: its {what} {file} was changed: it has {now}, the receipt says {digest}; "
            f"{fix}"
        )


def _check_certificate(receipt: ReviewedReceipt) -> None:
    folder = receipt.path.parent
    journals = [folder / name for name, _, _ in receipt.journals]
    opened = open_journals(journals, (folder / receipt.review[0]).parent)
    now = {**opened.certificate.facts(), **opened.merged.counts(opened.review)}
    stated = {**receipt.certificate, **receipt.review_counts}
    wrong = [name for name, value in now.items() if stated.get(name) != value]
    if wrong:
        raise UnusableInputError(
            f"{receipt.path}: its journals give another {wrong[0]}, {now[wrong[0]]!r}; the receipt "
            f"says {stated.get(wrong[0])!r}; run `review apply` again"
        )
