"""One input, from its first byte to its receipt: source -> check -> engine -> sink -> commit."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from batchdigits.archive.reference import Reference
from batchdigits.clock import utc_text
from batchdigits.errors import InternalError, IOFailedError, OutputError, UnusableInputError
from batchdigits.files.commit import discard, publish, recover
from batchdigits.files.lock import hold_lock
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets, make_folder
from batchdigits.monitoring.drift import (
    LARGE,
    NOT_MEASURED,
    Counts,
    Drift,
    DriftEvidence,
    count_predictions,
    exceeds,
)
from batchdigits.monitoring.suspicion import Suspicion
from batchdigits.rows.contract import OpenSource, Rows, Source
from batchdigits.rows.formats import open_source
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.ledger import Ledger
from batchdigits.scoring.options import Limit
from batchdigits.scoring.outputs import Outputs
from batchdigits.scoring.receipt import (
    Key,
    Receipt,
    finished_receipt,
    new_receipt,
    why_not_finished,
)
from batchdigits.scoring.scorer import Scored, Scorer
from batchdigits.text import one_line
from batchdigits.threads import in_order

logger = logging.getLogger("batchdigits.scoring")

TOO_MANY_REJECTS = 3
"""The exit code of an input that is published with more rejects than allowed."""

TOO_MUCH_DRIFT = 4
"""The exit code of an input that is published with more drift than allowed."""

OnProgress = Callable[[int, float | None, str], None]
"""Told the rows of an input done so far, the part of it done (0..1, None if unknown), its name."""


@dataclass(frozen=True, slots=True)
class Work:
    """How every input of a run is scored.

    max_drift  None: no drift is too much
    drift      whether drift is measured at all
    """

    scorer: Scorer
    reference: Reference
    rows: ReadOptions
    machine: Machine
    reserved: frozenset[str]
    key: Key
    max_rejects: Limit
    max_drift: float | None
    overwrite: bool
    allow_suspect: bool
    on_progress: OnProgress
    drift: bool = True


@dataclass(frozen=True, slots=True)
class InputResult:
    """What became of one input, as the summary shows it.

    rows_to_review, causes  of the predicted rows; None where nothing decides
    """

    input: str
    output: str | None
    rejects: str | None
    receipt: str | None
    status: str
    rows_in: int
    rows_predicted: int
    rows_rejected: int
    rows_to_review: int | None
    reasons: dict[str, int]
    causes: dict[str, int] | None
    exit_code: int
    drift: float | None = None
    drift_of: str | None = None
    estimated_accuracy: float | None = None
    error: str | None = None


def score_input(input_file: InputFile, targets: Targets, work: Work) -> InputResult:
    """Score one input and publish its predictions, rejects and receipt; or find it done already.

    Raises BatchdigitsError when nothing was published.
    """
    make_folder(targets)
    with hold_lock(targets.receipt):
        try:
            recover(targets)
            receipt = finished_receipt(input_file, targets, work.key)
            if receipt is not None:
                return result_of(
                    input_file, targets, receipt, receipt.drift, status="unchanged", work=work
                )
            refuse_foreign(input_file, targets, work)
            ledger, drift = _score_and_publish(input_file, targets, work)
        except BaseException:
            discard(targets)
            raise
        return result_of(input_file, targets, ledger, drift, status="scored", work=work)


def _score_and_publish(input_file: InputFile, targets: Targets, work: Work) -> tuple[Ledger, Drift]:
    started = time.time()
    opened = open_source(input_file, work.rows, work.machine)
    with (
        closing(opened.source) as source,
        _outputs(targets, source, work, input_file.name) as outputs,
        _held_still(opened),
    ):
        ledger, suspicion, drift = _stream(source, work, outputs, input_file.name)
        ledger.check(input_file.name, source.expected_rows)
        if source.has_lines:
            no_rows = source.first_line - 1 + source.tail_lines
            ledger.check_lines(input_file.name, source.expected_lines, no_rows)
        written = outputs.close()
        _refuse_hopeless(input_file, ledger)
        digest = opened.digest()
    times = {
        "started": utc_text(started),
        "finished": utc_text(),
        "seconds": round(time.time() - started, 3),
    }
    receipt = new_receipt(
        input_file=input_file,
        digest=digest,
        key=work.key,
        ledger=ledger,
        suspicion=suspicion,
        drift=drift,
        exit_code=_exit_code(ledger, drift, work),
        times=times,
    )
    publish(targets, written, receipt)
    return ledger, drift


def _outputs(targets: Targets, source: Source[Any], work: Work, name: str) -> Outputs:
    refuse_reserved(source.schema.names, work.reserved, name)
    return Outputs(targets, source, work.scorer.schema(source.schema), name, work.machine.threads)


@contextmanager
def _held_still(opened: OpenSource) -> Iterator[None]:
    """Raises TryAgainError if the input changed, also where that looked like a fault of its own.

    A file that is still being written looks damaged, and can be scored later all the same.
    """
    try:
        yield
    except (UnusableInputError, IOFailedError, InternalError):
        opened.verify_unchanged()
        raise
    opened.verify_unchanged()


def _stream(
    source: Source[Any], work: Work, outputs: Outputs, name: str
) -> tuple[Ledger, str | None, Drift]:
    """Every batch of the source through the engine into the outputs, in order, counted and judged.

    Gives what the rows look like too, if they look suspicious and that is allowed.
    """
    labels = [str(label) for label in work.scorer.classes.to_pylist()]

    def score(block: Any) -> tuple[Rows, Scored, Counts | None, Any]:
        rows = source.check(block)
        scored = work.scorer.score(rows)
        counts = None
        if work.drift:
            counts = count_predictions(scored.best, scored.confidence, len(labels))
        return rows, scored, counts, outputs.encode(scored.predictions)

    ledger = Ledger(causes=None if work.scorer.decider is None else Counter())
    evidence = Suspicion(work.reference, work.rows.scale)
    drift = DriftEvidence(work.reference, labels)
    first = None
    with closing(in_order(source.blocks(), score, work.machine.threads)) as results:
        for rows, scored, counts, encoded in results:
            outputs.write_predictions(encoded)
            outputs.write_rejects(scored, ledger)
            ledger.add(scored)
            first = _allowed(evidence.add(rows), work, name) or first
            if counts is not None:
                drift.add(rows, counts)
            work.on_progress(ledger.rows_in, source.progress(), name)
    suspicion = _allowed(evidence.verdict(), work, name) or first
    found = drift.measure() if work.drift else NOT_MEASURED
    if suspicion is not None:
        told = one_line(f"{name}: {suspicion}; scored all the same (--allow-suspect)")
        logger.warning("%s", told)
    elif work.max_drift is None and exceeds(found.value, LARGE):
        logger.warning("%s", one_line(_large_drift(found, name)))
    return ledger, suspicion, found


def _large_drift(drift: Drift, name: str) -> str:
    return (
        f"{name}: drift {drift.value:.3f} ({drift.largest}): it is unlike what the bundle was made "
        "of; see drift in its receipt, or set a limit with --max-drift"
    )


def _allowed(suspicion: str | None, work: Work, name: str) -> str | None:
    """The suspicion as it is. Raises UnusableInputError unless suspicious data are allowed."""
    if suspicion is not None and not work.allow_suspect:
        raise UnusableInputError(
            f"{name}: {suspicion}; nothing was published; if the data are right as they are, score "
            "them with --allow-suspect"
        )
    return suspicion


def refuse_foreign(input_file: InputFile, targets: Targets, work: Work) -> None:
    """Never replace what another input, bundle or options wrote, unless told to."""
    present = [p for p in (targets.predictions, targets.rejects, targets.receipt) if p.exists()]
    if present and not work.overwrite:
        raise OutputError(
            f"{present[0]}: is there already {why_not_finished(input_file, targets, work.key)}; "
            "move it away, or replace it with --overwrite"
        )


def _refuse_hopeless(input_file: InputFile, ledger: Ledger) -> None:
    """An input of which no row could be scored is not a bad row many times, but a bad input."""
    if ledger.rows_in and not ledger.rows_predicted:
        reason, count = ledger.reasons.most_common(1)[0]
        none = (
            "its only row can't"
            if ledger.rows_in == 1
            else f"none of the {ledger.rows_in} rows can"
        )
        verb = "is" if count == 1 else "are"
        raise UnusableInputError(
            f"{input_file.name}: {none} be scored, {count} {verb} {reason} "
            f"({REASONS[reason]}); nothing was published; check the file and the flags it needs "
            "(--scale, --delimiter, --pixels)"
        )


def _exit_code(counts: Ledger | Receipt, drift: Drift, work: Work) -> int:
    if not work.max_rejects.allows(counts.rows_rejected, counts.rows_in):
        return TOO_MANY_REJECTS
    return TOO_MUCH_DRIFT if exceeds(drift.value, work.max_drift) else 0


def result_of(
    input_file: InputFile,
    targets: Targets,
    counts: Ledger | Receipt,
    drift: Drift,
    *,
    status: str,
    work: Work,
) -> InputResult:
    """The summary's line on an input, with the counts of its ledger or receipt."""
    rejected = counts.rows_rejected
    causes = None if counts.causes is None else dict(counts.causes)
    return InputResult(
        input=input_file.name,
        output=str(targets.predictions),
        rejects=str(targets.rejects) if rejected else None,
        receipt=str(targets.receipt),
        status=status,
        rows_in=counts.rows_in,
        rows_predicted=counts.rows_predicted,
        rows_rejected=rejected,
        reasons={why: counts.reasons[why] for why in REASONS if counts.reasons.get(why)},
        rows_to_review=None if causes is None else sum(causes.values()),
        causes=causes,
        exit_code=_exit_code(counts, drift, work),
        drift=drift.value,
        drift_of=drift.largest,
        estimated_accuracy=drift.estimated_accuracy,
    )
