"""Files mode: one task an input file, with the receipts and exit codes of one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchdigits.api import plan_run
from batchdigits.archive.bundle_file import BundleFile
from batchdigits.errors import BatchdigitsError, TryAgainError, UsageError
from batchdigits.files.lock import refuse_held
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets
from batchdigits.rows.options import Machine
from batchdigits.scoring.options import RunOptions
from batchdigits.spark.publish import our_errors

if TYPE_CHECKING:
    from pyspark import SparkContext

    from batchdigits.monitoring.drift import Drift
    from batchdigits.scoring.one_input import InputResult
    from batchdigits.scoring.run import RunSummary

PAUSE = 0.5  # seconds

Result = tuple["InputResult", "Drift | None"]


def score_files(connect: Callable[[], SparkContext], keywords: Mapping[str, Any]) -> RunSummary:
    """Score input files as `batchdigits.score` does with these keywords, one task a file.

    The driver lists the files and loads the bundle, which travels with the tasks: an alias that
    moves meanwhile changes nothing. Paths become absolute, and executors must see the files there.
    Each task uses one thread. `connect` is called when all that is known to be right. Raises what
    `score` raises.
    """
    started = time.monotonic()
    planned, options = plan_run(absolute(keywords))
    if any(input_file.path is None for input_file, _ in planned):
        raise UsageError("-: executors can't read standard input; name files, folders or globs")
    machine = Machine(keywords.get("workers") or 1, options.machine.batch_rows)
    options = replace(options, machine=machine)
    bundle = options.bundle.load()

    from batchdigits.scoring.run import gather

    results: list[Result] = []
    if planned:
        tasks = connect().parallelize(planned, len(planned))
        with our_errors():
            results = tasks.map(_task(bundle, options)).collect()
    return gather(results, options, bundle, time.monotonic() - started)


def absolute(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The same keywords with absolute paths of inputs and output; a final / stays."""
    output = keywords["output"]
    return {
        **keywords,
        "inputs": [_absolute(path) for path in keywords["inputs"]],
        "output": None if output is None else _absolute(output),
    }


def _absolute(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if text in ("", "-") or "://" in text:
        return text
    return os.path.join(Path.cwd(), text)  # noqa: PTH118  # a path would lose the final /


def _task(bundle: BundleFile, options: RunOptions) -> Callable[[tuple[InputFile, Targets]], Result]:
    """The function of a task: Spark takes a plain function."""

    def score_one(planned: tuple[InputFile, Targets]) -> Result:
        from pyspark import TaskContext

        task = TaskContext.get()
        again = task is not None and task.attemptNumber() > 0
        return score_file(planned, bundle, options, again=again)

    return score_one


def score_file(
    planned: tuple[InputFile, Targets], bundle: BundleFile, options: RunOptions, *, again: bool
) -> Result:
    """Score one input file, and return its result and the drift in its receipt.

    again  whether this is another attempt of the task. Its first may still be at work, if Spark
           took it for a straggler: a twin that ended as busy would win the race, and Spark would
           kill the one that works. So it waits, and then finds the outputs finished.
    """
    from batchdigits.scoring.receipt import Receipt
    from batchdigits.scoring.run import score_inputs

    if again and options.policy.lock:
        wait_for_lock(planned[1].receipt)
    summary = score_inputs([planned], options, lambda _rows, _share, _name: None, bundle=bundle)
    result, drift = summary.inputs[0], None
    if result.receipt is not None:
        with suppress(BatchdigitsError):
            drift = Receipt.read(Path(result.receipt)).drift
    return result, drift


def wait_for_lock(receipt: Path) -> None:
    """Wait until no other process holds the lock of a receipt."""
    while True:
        try:
            refuse_held(receipt)
        except TryAgainError:
            time.sleep(PAUSE)
        except BatchdigitsError:  # scoring will say what is wrong
            return
        else:
            return
