"""A run: every input through one bundle, each with its own outputs, ledger and receipt."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from batchdigits.errors import (
    BatchdigitsError,
    InternalError,
    InterruptedRunError,
    IOFailedError,
    worst_exit_code,
)
from batchdigits.files.inputs import check_content
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets, check_targets
from batchdigits.monitoring.drift import exceeds
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.decision import CAUSES
from batchdigits.scoring.one_input import InputResult, Work, score_input
from batchdigits.text import listing, one_line

logger = logging.getLogger("batchdigits.scoring")

OpenWork = Callable[[], Work]

_OUT_OF_MEMORY = (
    "out of memory, nothing was published; give the run more, or fewer --workers or a smaller "
    "--batch-size"
)
Step = Callable[[InputFile, Targets, Work], InputResult]
"""What is done with one input; raises BatchdigitsError where it is refused."""


_ONLY_IN_TOTAL = ("exit_code", "reasons", "causes")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did: its totals, and what became of each input.

    rows_to_review, causes  of the predicted rows, of inputs where something decides; else None
    """

    exit_code: int
    seconds: float
    rows_per_second: float
    bundle: dict[str, Any] | None
    rows_in: int
    rows_predicted: int
    rows_rejected: int
    rows_to_review: int | None
    reasons: dict[str, int]
    causes: dict[str, int] | None
    inputs: tuple[InputResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """The summary as the JSON line holds it."""
        result = asdict(self)
        result["inputs"] = [
            {k: v for k, v in input_file.items() if k not in _ONLY_IN_TOTAL}
            for input_file in result["inputs"]
        ]
        return result


def score_inputs(
    planned: Sequence[tuple[InputFile, Targets]], open_work: OpenWork, step: Step = score_input
) -> RunSummary:
    """Score the inputs one after another; one that is refused does not stop the others.

    `step` is what is done with each, once its paths were checked. `open_work` loads the bundle: it
    is called once, and only when there is an output to write. Raises what it raises, and
    InterruptedRunError; everything else is in the summary.
    """
    started = time.monotonic()
    results: dict[int, InputResult] = {}
    for i, (input_file, targets) in enumerate(planned):
        refused = _guarded(input_file, partial(_check_paths, input_file, targets))
        if refused is not None:
            results[i] = refused
    work = open_work() if len(results) < len(planned) else None
    for i, (input_file, targets) in enumerate(planned):
        if work is not None and i not in results:
            results[i] = _score(input_file, partial(step, input_file, targets, work), work)
    ordered = tuple(results[i] for i in range(len(planned)))
    return _summary(ordered, work, time.monotonic() - started)


def _check_paths(input_file: InputFile, targets: Targets) -> None:
    """What can be known before the bundle is loaded: the input is there, the output can be."""
    check_content(input_file)
    check_targets(targets)


def _score(input_file: InputFile, step: Callable[[], InputResult], work: Work) -> InputResult:
    scored: list[InputResult] = []
    refused = _guarded(input_file, lambda: scored.append(step()))
    for result in scored:
        if not work.max_rejects.allows(result.rows_rejected, result.rows_in):
            logger.error("%s", _too_many_rejects(result))
        if exceeds(result.drift, work.max_drift):
            logger.error("%s", _too_much_drift(result, work))
    return refused or scored[0]


def _too_many_rejects(result: InputResult) -> str:
    reasons = listing(f"{count} {reason}" for reason, count in result.reasons.items())
    return one_line(
        f"{result.input}: {result.rows_rejected} of {result.rows_in} rows were rejected "
        f"({reasons}), more than --max-rejects; the others are published; see {result.rejects}"
    )


def _too_much_drift(result: InputResult, work: Work) -> str:
    return one_line(
        f"{result.input}: drift {result.drift:.3f} ({result.drift_of}) is more than --max-drift "
        f"{work.max_drift:g}: it is unlike what the bundle was made of; the predictions are "
        f"published; see drift in {result.receipt}"
    )


def _guarded(input_file: InputFile, step: Callable[[], None]) -> InputResult | None:
    """What refused the input, logged as its one line; None when `step` went through."""
    try:
        step()
    except InterruptedRunError:
        raise
    except BatchdigitsError as error:
        return _refused(input_file, error)
    except OSError as error:
        where = error.filename or input_file.name
        return _refused(input_file, IOFailedError(f"{where}: {error.strerror or error}"))
    except MemoryError:
        swollen = _refused(input_file, InternalError(f"{input_file.name}: {_OUT_OF_MEMORY}"))
    except Exception as error:  # noqa: BLE001  # what nobody foresaw in one must not stop the others
        fault = f"fault in batchdigits: {type(error).__name__}: {error}"
        return _refused(
            input_file, InternalError(f"{input_file.name}: {fault}; --debug shows the traceback")
        )
    else:
        return None
    # Only now does nothing refer to the error any more, and with it to what was in its frames.
    _give_memory_back()
    return swollen


def _give_memory_back() -> None:
    """What one input swelled to must not be missing for the next."""
    import gc

    import pyarrow as pa

    gc.collect()
    pa.default_memory_pool().release_unused()


def _refused(input_file: InputFile, error: BatchdigitsError) -> InputResult:
    logger.error("%s", error, exc_info=logger.isEnabledFor(logging.DEBUG))
    return InputResult(
        input=input_file.name,
        output=None,
        rejects=None,
        receipt=None,
        status="refused",
        rows_in=0,
        rows_predicted=0,
        rows_rejected=0,
        rows_to_review=None,
        reasons={},
        causes=None,
        exit_code=error.exit_code,
        error=str(error),
    )


def _summary(results: tuple[InputResult, ...], work: Work | None, seconds: float) -> RunSummary:
    reasons: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for result in results:
        reasons.update(result.reasons)
        causes.update(result.causes or {})
    decided = any(result.causes is not None for result in results)
    scored = sum(result.rows_in for result in results if result.status == "scored")
    return RunSummary(
        exit_code=worst_exit_code(result.exit_code for result in results),
        seconds=round(seconds, 3),
        rows_per_second=round(scored / max(seconds, 1e-9), 1),
        bundle=None if work is None else work.key.bundle,
        rows_in=sum(result.rows_in for result in results),
        rows_predicted=sum(result.rows_predicted for result in results),
        rows_rejected=sum(result.rows_rejected for result in results),
        rows_to_review=sum(causes.values()) if decided else None,
        reasons={reason: reasons[reason] for reason in REASONS if reasons[reason]},
        causes={one: causes[one] for one in CAUSES if causes[one]} if decided else None,
        inputs=results,
    )
