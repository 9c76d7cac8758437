"""The pipeline of one input file: source, check, engine, sink, commit, receipt."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from batchdigits.clock import utc_text
from batchdigits.errors import InternalError, IOFailedError, OutputError, UnusableInputError
from batchdigits.files.names import InputFile
from batchdigits.files.places.contract import Place
from batchdigits.files.streams import Snapshot
from batchdigits.files.written import WrittenFile
from batchdigits.monitoring.counts import PredictionCounts, count_predictions
from batchdigits.monitoring.drift import Drift, DriftMeter, exceeds, is_large
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.pool import Pool
from batchdigits.rows.contract import Rows, Source
from batchdigits.rows.formats import open_source
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.columns import PredictionColumns
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.options import (
    TOO_MANY_REJECTS,
    TOO_MUCH_DRIFT,
    RunPolicy,
    ScoreOptions,
)
from batchdigits.scoring.outputs import Outputs, is_kept
from batchdigits.scoring.receipt import (
    Key,
    Receipt,
    finished_receipt,
    outdated_review,
    version_of,
    why_not_finished,
)
from batchdigits.scoring.scorer import Scored, Scorer
from batchdigits.scoring.watch import Watch
from batchdigits.text import one_line
from batchdigits.threads import Publish, Publisher, in_order

logger = logging.getLogger("batchdigits.scoring")

OnProgress = Callable[[int, float | None, str], None]
"""Called with the rows done of an input file, the share done (0..1, None if unknown), its name."""


@dataclass(frozen=True, slots=True)
class Work:
    """The open bundle and the options, which all input files of a run share."""

    scorer: Scorer
    score: ScoreOptions
    judge: Judge
    meter: DriftMeter
    pool: Pool
    read: ReadOptions
    machine: Machine
    policy: RunPolicy
    key: Key
    on_progress: OnProgress
    publisher: Publisher

    def on(self, input_file: InputFile) -> Work:
        """Return the work with the threads that this input file is worth."""
        if input_file.path is None:
            return self
        return replace(self, machine=self.machine.for_bytes(Snapshot.of(input_file.path).size))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputResult(Counts):
    """The result of one input file in the summary.

    status  scored, unchanged, kept (as another bundle or other options left it), ready (in a dry
            run) or refused; `error` is the reason for that
    """

    input: str
    output: str | None = None
    rejects: str | None = None
    receipt: str | None = None
    status: str
    exit_code: int
    drift: float | None = None
    drift_of: str | None = None
    estimated_accuracy: float | None = None
    error: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return the result for the summary, which has exit code, reasons and causes as totals."""
        counts = Counts.facts(self)
        del counts["reasons"], counts["causes"]
        return {
            "input": self.input,
            "output": self.output,
            "rejects": self.rejects,
            "receipt": self.receipt,
            "status": self.status,
            **counts,
            "drift": self.drift,
            "drift_of": self.drift_of,
            "estimated_accuracy": self.estimated_accuracy,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class ScoredInput:
    """A scored input file whose outputs are complete, but not published.

    held  holds its place until it is published
    """

    input_file: InputFile
    place: Place
    work: Work
    held: ExitStack
    written: list[WrittenFile]
    receipt: Receipt

    def publish(self) -> None:
        """Publish predictions, rejects and receipt, and let go of the place; in any thread."""
        with self.held:
            overwrite = self.work.policy.overwrite
            self.place.publish(self.written, self.receipt.facts(), overwrite=overwrite)

    def result(self, published: Publish) -> InputResult:
        """Return the result after `published`, which is `publish` or waits for it."""
        published()
        input_file, place, receipt, work = self.input_file, self.place, self.receipt, self.work
        work.pool.publish(input_file.name, receipt.drift)
        _warn_of_review(input_file, place)
        return result_of(
            input_file, place, receipt.counts, receipt.drift, status="scored", work=work
        )


def score_input(input_file: InputFile, place: Place, work: Work) -> ScoredInput | InputResult:
    """Score one input file, unless its predictions, rejects and receipt are there.

    Raises BatchdigitsError; then nothing is published.
    """
    # A signal between the scoring and the publishing drops the stack; the place cleans up anyway.
    with ExitStack() as held:
        held.enter_context(place.held())
        finished = finished_result(input_file, place, work)
        if finished is None:
            refuse_foreign(input_file, place, work)
            if is_kept(place.targets):
                place.drop(place.targets.rejects)
            written, receipt = _score(input_file, place, work.on(input_file))
            return ScoredInput(input_file, place, work, held.pop_all(), written, receipt)
        _warn_of_review(input_file, place)
    return finished


def finished_result(input_file: InputFile, place: Place, work: Work) -> InputResult | None:
    """Return the result of an input file with complete outputs: unchanged, or kept; else None.

    What is unchanged is evidence for the run; what is kept was measured with other thresholds.
    """
    trust = work.policy.trust_etag
    finished = partial(
        finished_receipt, input_file, place.targets, work.key.of(input_file), trust_etag=trust
    )
    receipt, status = finished(), "unchanged"
    if receipt is None and work.policy.keep:
        receipt, status = finished(other=True), "kept"
    if receipt is None:
        return None
    work.publisher.settle()
    if status == "unchanged":
        work.pool.judge(receipt.drift)
        work.pool.publish(input_file.name, receipt.drift)
    return result_of(input_file, place, receipt.counts, receipt.drift, status=status, work=work)


def _score(input_file: InputFile, place: Place, work: Work) -> tuple[list[WrittenFile], Receipt]:
    """Score an input file to complete temporaries, and make its receipt."""
    started, name = time.time(), input_file.name
    version = version_of(input_file)
    with (
        closing(open_source(input_file, work.read, work.machine)) as source,
        _open_outputs(source, work, place, name) as outputs,
        _refuse_changes(source),
    ):
        watch = Watch(work.scorer, work.judge, work.meter, work.read.scale)
        _stream(source, outputs, watch, work, name)
        drift = watch.finish()
        work.publisher.settle()  # what follows has messages, which keep the order of the files
        pooled = work.pool.judge(drift)
        if pooled is not None:
            watch.suspicion = watch.suspicion or pooled
            drift = replace(drift, estimated_accuracy=None)
        _refuse_suspicious(watch, work, name)
        _warn(watch, drift, work, name)
        watch.counts.check(name)
        source.verify(watch.counts.rows_in, watch.lines)
        written = outputs.close()
        _refuse_hopeless(name, watch.counts, outputs, written, place)
        digest = source.digest()
    receipt = Receipt(
        input=name,
        input_digest=digest,
        input_version=version,
        key=work.key.of(input_file),
        counts=watch.counts,
        suspicion=watch.suspicion,
        drift=drift,
        exit_code=_exit_code(watch.counts, drift, work.policy),
        times={
            "started": utc_text(started),
            "finished": utc_text(),
            "seconds": round(time.time() - started, 3),
        },
    )
    return written, receipt


def _open_outputs(source: Source[Any], work: Work, place: Place, name: str) -> Outputs:
    columns = PredictionColumns.of(source, work.scorer, work.score, place, name)
    threads = work.machine.threads
    return Outputs(columns, place, first_line=source.first_line, name=name, threads=threads)


@contextmanager
def _refuse_changes(source: Source[Any]) -> Iterator[None]:
    """Raise TryAgainError if the input file changed, rather than the error that this led to.

    A file that is still being written looks damaged, but can be scored later.
    """
    try:
        yield
    except (UnusableInputError, IOFailedError, InternalError):
        source.verify_unchanged()
        raise
    source.verify_unchanged()


def _stream(source: Source[Any], outputs: Outputs, watch: Watch, work: Work, name: str) -> None:
    """Send every batch of the source through the engine to the outputs, in order."""
    classes = len(work.scorer.classes)

    def score(block: Any) -> tuple[Rows, Scored, PredictionCounts, Any]:
        rows = source.check(block)
        scored = work.scorer.score(rows)
        predicted = count_predictions(scored.best, scored.confidence, classes)
        return rows, scored, predicted, outputs.encode(scored)

    with closing(in_order(source.blocks(), score, work.machine.threads)) as results:
        for rows, scored, predicted, encoded in results:
            position = watch.add(rows, scored, predicted)
            outputs.write(encoded, scored, position)
            _refuse_suspicious(watch, work, name)
            work.on_progress(watch.counts.rows_in, source.progress(), name)


def _refuse_suspicious(watch: Watch, work: Work, name: str) -> None:
    if watch.suspicion is not None and not work.policy.allow_suspect:
        raise UnusableInputError(
            f"{name}: {watch.suspicion}; nothing was published; if the data are right as they are, "
            "score them with --allow-suspect"
        )


def _warn(watch: Watch, drift: Drift, work: Work, name: str) -> None:
    if watch.suspicion is not None:
        message = f"{watch.suspicion}; scored anyway (--allow-suspect)"
    elif work.policy.max_drift is None and is_large(drift):
        message = (
            f"drift {drift.value:.3f} ({drift.largest}): the rows differ from the bundle's "
            "training data; see drift in its receipt, or set a limit with --max-drift"
        )
    else:
        return
    logger.warning("%s", one_line(f"{name}: {message}"))


def _warn_of_review(input_file: InputFile, place: Place) -> None:
    """Warn if reviewers corrected predictions that are no longer there."""
    reviewed = outdated_review(place.targets)
    if reviewed is not None:
        logger.warning(
            "%s",
            one_line(
                f"{input_file.name}: {reviewed} was reviewed on predictions that were replaced "
                "since; it is left as it is: make a review of the new ones"
            ),
        )


def refuse_foreign(input_file: InputFile, place: Place, work: Work) -> None:
    """Raise OutputError for outputs of another input, bundle or options, without --overwrite."""
    targets = place.targets
    present = place.present()
    if present and not work.policy.overwrite and not is_kept(targets):
        fix = "move it away, or replace it with --overwrite"
        if work.policy.keep:
            fix = f"only what is complete and of the same content is kept; {fix}"
        why = why_not_finished(input_file, targets, work.key.of(input_file))
        raise OutputError(f"{present[0]}: exists already {why}; {fix}")


def _refuse_hopeless(
    name: str, counts: Counts, outputs: Outputs, written: list[WrittenFile], place: Place
) -> None:
    """Raise UnusableInputError if no row could be scored: then the file is bad, not its rows.

    The rejects are kept, if they replace nothing.
    """
    if not counts.rows_in or counts.rows_predicted:
        return
    reason, count = max(counts.reasons.items(), key=lambda pair: pair[1])
    rows = "its only row can't" if counts.rows_in == 1 else f"none of the {counts.rows_in} rows can"
    verb = "is" if count == 1 else "are"
    kept = "nothing was published"
    if place.keep(next(output for output in written if output.path == place.targets.rejects)):
        kept = f"nothing was published but {place.targets.rejects}"
    raise UnusableInputError(
        f"{name}: {rows} be scored, {count} {verb} {reason} ({REASONS[reason]}), the first in "
        f"{outputs.example(reason)}; {kept}; {_FIXES.get(reason, _ANY_FIX)}"
    )


_ANY_FIX = "check the file and the flags it needs (--scale, --delimiter, --pixels)"
_FIXES = {
    "bad-encoding": "name the encoding of its text with --encoding, such as cp1252",
    "not-a-number": "check the flags it needs (--decimal, --delimiter, --pixels)",
    "too-many-cells": "check --delimiter, and quote cells that hold it",
}


def _exit_code(counts: Counts, drift: Drift, policy: RunPolicy) -> int:
    if not policy.max_rejects.allows(counts.rows_rejected, counts.rows_in):
        return TOO_MANY_REJECTS
    return TOO_MUCH_DRIFT if exceeds(drift.value, policy.max_drift) else 0


def result_of(
    input_file: InputFile, place: Place, counts: Counts, drift: Drift, *, status: str, work: Work
) -> InputResult:
    """Make the result of an input file that was not refused."""
    targets = place.targets
    return InputResult(
        **counts.values(),
        input=input_file.name,
        output=str(targets.predictions),
        rejects=str(targets.rejects) if counts.rows_rejected else None,
        receipt=str(targets.receipt),
        status=status,
        # The limits are for the work of this bundle with these options.
        exit_code=0 if status == "kept" else _exit_code(counts, drift, work.policy),
        drift=drift.value,
        drift_of=drift.largest,
        estimated_accuracy=drift.estimated_accuracy,
    )
