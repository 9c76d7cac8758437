"""A run: one bundle scores every input file, each with its own outputs, counts and receipt."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.reference import read_reference
from batchdigits.cli.interrupts import raise_if_interrupted
from batchdigits.cli.quiet import in_command
from batchdigits.engines.open import open_checked, open_once
from batchdigits.errors import (
    InterruptedRunError,
    UnusableInputError,
    as_ours,
    worst_exit_code,
)
from batchdigits.files.inputs import check_content
from batchdigits.files.names import InputFile
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.places.contract import Place
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.targets import Targets
from batchdigits.monitoring.drift import NOT_MEASURED, Drift, DriftMeter, exceeds
from batchdigits.monitoring.evidence import Finding
from batchdigits.monitoring.pool import Pool
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.one_input import (
    InputResult,
    OnProgress,
    ScoredInput,
    Work,
    score_input,
)
from batchdigits.scoring.options import (
    OK,
    TOO_MANY_REJECTS,
    TOO_MUCH_DRIFT,
    RunOptions,
    RunPolicy,
)
from batchdigits.scoring.receipt import Key
from batchdigits.scoring.scorer import Scorer
from batchdigits.scoring.watch import make_judge
from batchdigits.text import SHOWN_PROBLEMS, count_of, listing, one_line
from batchdigits.threads import Publish, Publisher

logger = logging.getLogger("batchdigits.scoring")

OutcomeT = TypeVar("OutcomeT", bound=ScoredInput | InputResult)

Step = Callable[[InputFile, Place, Work], ScoredInput | InputResult]
"""The work on one input file whose paths were checked: score it, or only check it."""

Results = list[InputResult | None]
"""The results of the input files so far, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary(Counts):
    """The result of a run: the totals, and the result of each input file.

    inputs_without_decision  the unchanged input files whose predictions an older version wrote,
                             without the columns `decision` and `cause`
    suspicion                what the rows of all input files together look like instead of digits
    suspect_inputs           the published input files that look so; they stay
    drift                    of the published rows of all input files together, as of one input file
    """

    exit_code: int
    seconds: float
    rows_per_second: float
    bundle: dict[str, Any] | None
    inputs_without_decision: int
    suspicion: str | None
    suspect_inputs: tuple[str, ...]
    drift: Drift
    inputs: tuple[InputResult, ...]

    def __repr__(self) -> str:
        return (
            f"<RunSummary exit_code={self.exit_code}, {count_of(len(self.inputs), 'input')}, "
            f"{count_of(self.rows_in, 'row')} in, {self.rows_predicted} predicted, "
            f"{self.rows_rejected} rejected>"
        )

    def _repr_html_(self) -> str:
        """Return a small table for a notebook."""
        from batchdigits.html import table

        shown = self.inputs[:SHOWN_PROBLEMS]
        header = ["input", "status", "rows in", "predicted", "rejected", "to review", "error"]
        rows = [
            [
                each.input,
                each.status,
                each.rows_in,
                each.rows_predicted,
                each.rows_rejected,
                "" if each.rows_to_review is None else each.rows_to_review,
                each.error or "",
            ]
            for each in shown
        ]
        left = len(self.inputs) - len(shown)
        more = f"; {left} more inputs" if left else ""
        return table(header, rows, caption=f"exit code {self.exit_code}{more}")

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as the JSON line holds it."""
        return {
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "rows_per_second": self.rows_per_second,
            "bundle": self.bundle,
            **Counts.facts(self),
            "inputs_without_decision": self.inputs_without_decision,
            "suspicion": self.suspicion,
            "suspect_inputs": list(self.suspect_inputs),
            "drift": self.drift.value,
            "drift_of": self.drift.largest,
            "estimated_accuracy": self.drift.estimated_accuracy,
            "inputs": [result.facts() for result in self.inputs],
        }


def score_inputs(
    planned: Sequence[tuple[InputFile, Targets]],
    options: RunOptions,
    on_progress: OnProgress,
    *,
    dry_run: bool = False,
    bundle: BundleFile | None = None,
) -> RunSummary:
    """Score input files one after another; a refused one does not stop the others.

    The bundle is `bundle`, which another process loaded, else that of the options. It is opened
    once, and only if there is an input file to score. With `dry_run` nothing
    is scored or written: each input file is ready, unchanged or refused, as far as that is known.
    Raises InterruptedRunError, and the errors of opening the bundle; others are in the summary.
    """
    started = time.monotonic()
    step: Step = score_input
    if dry_run:
        from batchdigits.scoring.dry_run import Room, check_input  # scoring must not wait for it

        step = partial(check_input, room=Room())
    checked: set[Path] = set()
    places = [(input_file, _place(targets, options, checked)) for input_file, targets in planned]
    results = [_early_refusal(input_file, place) for input_file, place in places]
    work = _open_work(options, on_progress, bundle) if None in results else None
    if work is not None:
        with closing(work.publisher):
            _work_through(step, places, results, work)
    done = tuple(result for result in results if result is not None)
    return _summary(done, work, time.monotonic() - started)


def _place(targets: Targets, options: RunOptions, checked: set[Path]) -> Place:
    if not isinstance(targets.folder, ObjectPath):
        return LocalFolder(targets, lock=options.policy.lock)
    from batchdigits.files.places.objects import ObjectFolder

    return ObjectFolder(targets, options.machine.scratch, checked)


def _work_through(
    step: Step, places: Sequence[tuple[InputFile, Place]], results: Results, work: Work
) -> None:
    """Fill in the results that are None. Each file is published while the next one is scored."""
    left = [at for at, result in enumerate(results) if result is None]
    for at in left:
        input_file, place = places[at]
        outcome = _attempt(partial(step, input_file, place, work), input_file, work)
        if isinstance(outcome, InputResult):
            results[at] = outcome
            continue
        take = partial(_take, results, at, outcome)
        if at != left[-1]:
            work.publisher.begin(outcome.publish, take)
        else:  # there is nothing to do meanwhile, and the only file of a run needs no thread
            work.publisher.settle()
            take(outcome.publish)
    work.publisher.settle()


def _take(results: Results, at: int, scored: ScoredInput, published: Publish) -> None:
    outcome = _attempt(partial(scored.result, published), scored.input_file, scored.work)
    results[at] = outcome


def gather(
    results: Sequence[tuple[InputResult, Drift]],
    options: RunOptions,
    bundle: BundleFile,
    seconds: float,
) -> RunSummary:
    """Make the summary of input files that other processes scored, as if one had scored all.

    Each result comes with the drift of what is published, NOT_MEASURED for nothing. What was wrong
    with an input file is logged.
    """
    if not results:
        return _summary((), None, seconds)
    work = _open_work(options, lambda _rows, _share, _name: None, bundle)
    for result, drift in results:
        work.pool.judge(drift)
        work.pool.publish(result.input, drift)
        if result.error is not None:
            logger.error("%s", result.error)
        for code, problem in _beyond_limits(result, work.policy):
            _log(code, f"{result.input}: {problem}", work.policy)
    return _summary(tuple(result for result, _ in results), work, seconds)


def _open_work(options: RunOptions, on_progress: OnProgress, bundle: BundleFile | None) -> Work:
    name = options.bundle.engine
    if bundle is None:
        file = options.bundle.load()
        engine = open_checked(file, name)
    else:
        file, engine = bundle, open_once(bundle, name)
    if in_command():
        _use_lean_allocator()
    scorer, reference = Scorer.of(file, engine, options.score), read_reference(file)
    judge = make_judge(file, engine, reference)
    meter = DriftMeter(reference, scorer.labels, judge.odd_share)
    decision = scorer.decider is not None
    return Work(
        scorer=scorer,
        score=options.score,
        judge=judge,
        meter=meter,
        pool=Pool(meter),
        read=options.read,
        machine=options.machine,
        policy=options.policy,
        key=Key(file.facts, {**options.facts(), "decision": decision}, file.signed_by),
        on_progress=on_progress,
        publisher=Publisher(options.machine.workers),
    )


def _use_lean_allocator() -> None:
    """Let Arrow allocate by jemalloc, where it was built with it: less memory and time.

    Not in a program that imports the package, whose allocator is its own choice.
    """
    import pyarrow as pa

    if "ARROW_DEFAULT_MEMORY_POOL" not in os.environ:
        with suppress(NotImplementedError):
            pa.set_memory_pool(pa.jemalloc_memory_pool())


def _early_refusal(input_file: InputFile, place: Place) -> InputResult | None:
    """Refuse an input file for an error that shows before the bundle is loaded, else None."""
    try:
        check_content(input_file)
        place.check()
    except InterruptedRunError:
        raise
    except Exception as error:  # noqa: BLE001  # one bad input file must not stop the others
        return _refused(input_file, error)
    return None


def _attempt(
    step: Callable[[], OutcomeT], input_file: InputFile, work: Work
) -> OutcomeT | InputResult:
    """Return what `step` does with an input file, and log its error or what is beyond a limit."""
    try:
        outcome = step()
    except InterruptedRunError:
        raise  # here: a frame that holds what it raises would keep all that was open
    except MemoryError as error:
        refused = _refused(input_file, error, work)
    except Exception as error:  # noqa: BLE001  # one bad input file must not stop the others
        return _refused(input_file, error, work)
    else:
        if isinstance(outcome, InputResult):
            for code, problem in _beyond_limits(outcome, work.policy):
                _log(code, f"{outcome.input}: {problem}", work.policy)
        return outcome
    # Here the error is gone, and with it the arrays that its frames referred to.
    _release_memory()
    return refused


def _log(code: int, problem: str, policy: RunPolicy) -> None:
    """Log what is published beyond a limit: an error, unless `--ok` names the cause."""
    level = logging.WARNING if code in policy.ok else logging.ERROR
    logger.log(level, "%s", one_line(problem))


def _beyond_limits(result: InputResult, policy: RunPolicy) -> Iterator[tuple[int, str]]:
    """Yield the exit code and a description of each limit that the input file exceeds."""
    if result.status == "kept":
        return
    if not policy.max_rejects.allows(result.rows_rejected, result.rows_in):
        reasons = listing(f"{count} {reason}" for reason, count in result.reasons.items())
        yield (
            TOO_MANY_REJECTS,
            (
                f"{result.rows_rejected} of {result.rows_in} rows were rejected ({reasons}), more "
                f"than --max-rejects; the others are published; see {result.rejects}"
            ),
        )
    if exceeds(result.drift, policy.max_drift):
        yield (
            TOO_MUCH_DRIFT,
            (
                f"drift {result.drift:.3f} ({result.drift_of}) is more than --max-drift "
                f"{policy.max_drift:g}: the rows differ from the bundle's training data; the "
                f"predictions are published; see drift in {result.receipt}"
            ),
        )


def _release_memory() -> None:
    """Return the memory of one input file to the system, so that the next can have it."""
    import gc

    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()


def _refused(input_file: InputFile, error: Exception, work: Work | None = None) -> InputResult:
    """Log the error and return the result of a refused input file.

    Raises InterruptedRunError if a signal came whose exception was lost: the error is only what
    that led to.
    """
    raise_if_interrupted()
    if work is not None:
        work.publisher.settle()
    ours = as_ours(error, input_file.name)
    logger.error("%s", ours, exc_info=logger.isEnabledFor(logging.DEBUG))
    return InputResult(
        input=input_file.name, status="refused", exit_code=ours.exit_code, error=str(ours)
    )


def _summary(results: tuple[InputResult, ...], work: Work | None, seconds: float) -> RunSummary:
    total = sum(results, start=Counts())
    scored = sum(result.rows_in for result in results if result.status == "scored")
    unchanged = [result for result in results if result.status == "unchanged"]
    decides = work is not None and work.scorer.decider is not None
    finding, suspects, drift = _together(results, work)
    codes = [code for result in results for code in _codes(result, work)]
    if work is not None and exceeds(drift.value, work.policy.max_drift):
        codes += {TOO_MUCH_DRIFT} - work.policy.ok
    if work is not None and suspects and not work.policy.allow_suspect:
        codes.append(UnusableInputError.exit_code)
    return RunSummary(
        **total.values(),
        exit_code=worst_exit_code(codes),
        seconds=round(seconds, 3),
        rows_per_second=round(scored / max(seconds, 1e-9), 1),
        bundle=None if work is None else dict(work.key.bundle),
        inputs_without_decision=sum(decides and result.causes is None for result in unchanged),
        suspicion=None if finding is None else finding.words,
        suspect_inputs=tuple(suspects),
        drift=drift,
        inputs=results,
    )


def _codes(result: InputResult, work: Work | None) -> list[int]:
    """Return the exit codes of an input file, without those that `--ok` forgives."""
    if work is None or result.exit_code not in OK.values():
        return [result.exit_code]
    beyond = {code for code, _ in _beyond_limits(result, work.policy)}
    return sorted(beyond - work.policy.ok)


def _together(
    results: tuple[InputResult, ...], work: Work | None
) -> tuple[Finding | None, Sequence[str], Drift]:
    """Judge all input files together, and log what none of them was logged for by itself.

    Returns what they look like, the names of the published files that do, and their drift.
    """
    if work is None:
        return None, (), NOT_MEASURED
    finding, drift, limit = work.pool.finding, work.pool.measure(), work.policy.max_drift
    suspects = [] if finding is None else work.pool.suspects(finding)
    if finding is not None and suspects and not work.policy.allow_suspect:
        logger.error(
            "%s",
            one_line(
                f"{listing(suspects)}: published before it was known: with the other inputs it "
                f"{finding.words}; move the outputs away unless the data are right"
            ),
        )
    if exceeds(drift.value, limit) and not any(exceeds(r.drift, limit) for r in results):
        _log(
            TOO_MUCH_DRIFT,
            f"drift {drift.value:.3f} ({drift.largest}) of all inputs together is more than "
            f"--max-drift {limit:g}: the rows differ from the bundle's training data; the "
            "predictions are published",
            work.policy,
        )
    return finding, suspects, drift
