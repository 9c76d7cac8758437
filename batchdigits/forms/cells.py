"""`forms cells`: each crop becomes a row, or a reject with the reason."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, Self

import pyarrow.compute as pc

from batchdigits.errors import InternalError, UnusableInputError
from batchdigits.files.places.contract import Place
from batchdigits.forms.crop_source import CropSource
from batchdigits.forms.pictures import REASONS as OF_PICTURES
from batchdigits.forms.publish import (
    InputsDigest,
    RowsFiles,
    Work,
    finished,
    read_ledger,
    receipt_of,
    refuse_foreign,
    told,
)
from batchdigits.forms.workers import in_processes
from batchdigits.rows.rejects import REASONS as OF_ROWS
from batchdigits.scoring.options import TOO_MANY_REJECTS, Limit
from batchdigits.text import count_of

REASONS = OF_ROWS | OF_PICTURES
"""Why a row of a file, or a picture, is a reject, in the order in which counts list them."""

OnProgress = Callable[[int, float | None, str], None]
"""Called with the crops done, the share done, 0..1 or None, and the name of the last file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropCounts:
    """The counts of crops: each one that came in is a row or a reject.

    blank    the rows of crops without a character
    reasons  rejects by reason, in the order of REASONS
    """

    crops_in: int
    rows: int
    blank: int
    rejected: int
    reasons: Mapping[str, int]

    @property
    def add_up(self) -> bool:
        """Whether the crops are rows, or rejected for a reason."""
        rejected = sum(self.reasons.values())
        return self.crops_in == self.rows + self.rejected and self.rejected == rejected

    def facts(self) -> dict[str, Any]:
        """Return the counts as receipts and summaries hold them."""
        return asdict(self)

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Read the counts in a receipt. Raises ValueError unless they are counts that add up."""
        return read_ledger(cls, cls.__slots__, facts)


@dataclass(frozen=True, slots=True)
class CellsResult:
    """The result of a run: its files, and its counts; the files were `made` or are `unchanged`."""

    place: Place
    status: str
    exit_code: int
    counts: CropCounts
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return the summary that the command prints."""
        targets = self.place.targets
        return {
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "output": str(targets.predictions),
            "rejects": str(targets.rejects) if self.counts.rejected else None,
            "receipt": str(targets.receipt),
            "status": self.status,
            **self.counts.facts(),
        }

    def text(self) -> str:
        """Return the result for people at a terminal."""
        counts, targets = self.counts, self.place.targets
        rejects = f" in {targets.rejects}" if counts.rejected else ""
        return (
            f"{self.status} {targets.predictions}: {count_of(counts.crops_in, 'crop')}, "
            f"{count_of(counts.rows, 'row')}, {counts.blank} of them blank; "
            f"{counts.rejected} rejected{rejects}; {self.seconds:.1f} s, exit code {self.exit_code}"
        )


@dataclass(frozen=True, slots=True)
class CellsPolicy:
    """The limits and the machine: the most rejects, whether to overwrite, worker processes."""

    max_rejects: Limit
    overwrite: bool = False
    workers: int = 1


def make_cells(
    source: CropSource,
    place: Place,
    work: Work,
    policy: CellsPolicy,
    on_progress: OnProgress = lambda *_: None,
) -> CellsResult:
    """Publish the rows of all crops with their rejects and a receipt, unless they are there.

    Raises OutputError, TryAgainError or IOFailedError, and UnusableInputError if no crop can be
    used; then nothing was published.
    """
    started = time.time()
    with place.held():
        receipt = finished(place, work, source.digest, CropCounts.of_facts)
        status = "unchanged"
        if receipt is None:
            refuse_foreign(place, overwrite=policy.overwrite)
            receipt, status = _publish(source, place, work, policy, on_progress), "made"
    counts = CropCounts.of_facts(receipt)
    seconds = round(time.time() - started, 3)
    return CellsResult(place, status, _exit_code(counts, policy), counts, seconds)


def _publish(
    source: CropSource, place: Place, work: Work, policy: CellsPolicy, on_progress: OnProgress
) -> dict[str, Any]:
    started = time.time()
    digest = InputsDigest()
    crops = rows = blank = 0
    reasons: Counter[str] = Counter()
    first: dict[str, Mapping[str, Any]] = {}
    results = in_processes(source.blocks(), source.judge, policy.workers)
    with RowsFiles(place, source.schema, source.rejects) as files, closing(results):
        for judged in results:
            files.write(judged.rows)
            files.reject(judged.rejects)
            for name, of_file in judged.digests:
                digest.add(name, of_file)
            reasons.update(reject["reason"] for reject in judged.rejects)
            for reject in judged.rejects:
                first.setdefault(reject["reason"], reject)
            rows += judged.rows.num_rows
            blank += pc.sum(judged.rows.column("blank")).as_py() or 0
            crops += judged.rows.num_rows + len(judged.rejects)
            last = judged.digests[-1][0] if judged.digests else ""
            on_progress(crops, crops / source.total if source.total else None, last)
        counts = CropCounts(
            crops_in=crops,
            rows=rows,
            blank=blank,
            rejected=reasons.total(),
            reasons={reason: reasons[reason] for reason in REASONS if reasons[reason]},
        )
        _check(counts, source, work, first)
        written = files.close()
    code = _exit_code(counts, policy)
    receipt = receipt_of(work, digest.text(), counts.facts(), exit_code=code, started=started)
    place.publish(written, receipt, overwrite=policy.overwrite)
    return receipt


def _check(
    counts: CropCounts, source: CropSource, work: Work, first: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raise InternalError unless the counts add up, UnusableInputError if no crop can be used.

    first  the first reject for each reason: if nothing is published, only the message has it
    """
    where = " ".join(work.arguments)
    in_all = counts.crops_in if source.total is None else source.total
    if in_all != counts.crops_in or not counts.add_up:
        raise InternalError(
            f"{where}: the ledger does not balance: {in_all} crops in, {counts.rows} rows, "
            f"{counts.rejected} rejected; nothing was published; please report this"
        )
    if counts.crops_in and not counts.rows:
        reason, count = max(counts.reasons.items(), key=lambda pair: pair[1])
        raise UnusableInputError(
            f"{where}: none of the {counts.crops_in} crops can be used, {count} are {reason} "
            f"({REASONS[reason]}); nothing was published; the first is {told(first[reason])}"
        )


def _exit_code(counts: CropCounts, policy: CellsPolicy) -> int:
    allowed = policy.max_rejects.allows(counts.rejected, counts.crops_in)
    return 0 if allowed else TOO_MANY_REJECTS
