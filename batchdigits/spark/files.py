"""Files mode: one task an input file, with the receipts and exit codes of one machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchdigits.api import plan_run
from batchdigits.archive.bundle_file import BundleFile
from batchdigits.errors import BatchdigitsError, TryAgainError, UsageError
from batchdigits.files.lock import refuse_held
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets
from batchdigits.scoring.options import RunOptions
from batchdigits.spark.publish import our_errors

if TYPE_CHECKING:
    from pyspark import SparkContext

    from batchdigits.monitoring.drift import Drift
    from batchdigits.scoring.one_input import InputResult
    from batchdigits.scoring.run import RunSummary

PAUSE = 0.5  # seconds

Result = tuple["InputResult", "Drift"]


def score_files(connect: Callable[[], SparkContext], keywords: Mapping[str, Any]) -> RunSummary:
    """Score input files as `batchdigits.score` does with these keywords, one task a file.

    The driver lists the files and loads the bundle, which travels with the tasks: an alias that
    moves meanwhile changes nothing. Paths become absolute, and executors must see the files there.
    Each task uses one thread, unless `workers` says how many. `connect` is called when all that is
    known to be right. Raises what `score` raises.
    """
    started = time.monotonic()
    planned, options = plan_tasks(keywords)
    bundle = options.bundle.load()

    from batchdigits.scoring.run import gather

    results: list[Result] = []
    if planned:
        tasks = connect().parallelize(planned, len(planned))
        with our_errors():
            results = tasks.map(_task(bundle, options)).collect()
    return gather(results, options, bundle, time.monotonic() - started)


def plan_tasks(
    keywords: Mapping[str, Any],
) -> tuple[list[tuple[InputFile, Targets]], RunOptions]:
    """Return what `plan_run` returns, for executors. Raises UsageError for standard input, too."""
    planned, options = plan_run(absolute(keywords))
    if any(input_file.path is None for input_file, _ in planned):
        raise UsageError("-: executors can't read standard input; name files, folders or globs")
    machine = options.machine
    return planned, replace(options, machine=replace(machine, workers=machine.workers or 1))


def absolute(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The same keywords with absolute paths of inputs, output and scratch; a final / stays."""
    given = {name: keywords[name] for name in ("output", "scratch")}
    return {
        **keywords,
        "inputs": [_absolute(path) for path in keywords["inputs"]],
        **{name: None if path is None else _absolute(path) for name, path in given.items()},
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
    """Score one input file, and return its result and the drift of what is published of it.

    again  whether this is another attempt of the task. Its first may still be at work, if Spark
           took it for a straggler: a twin that ended as busy would win the race, and Spark would
           kill the one that works. So it waits, and then finds the outputs finished.
    """
    from batchdigits.scoring.run import score_inputs

    if again and options.policy.lock:
        wait_for_lock(planned[1].receipt)
    summary = score_inputs([planned], options, lambda _rows, _share, _name: None, bundle=bundle)
    return summary.inputs[0], summary.drift


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
