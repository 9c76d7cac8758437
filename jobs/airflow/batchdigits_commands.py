"""What the DAGs of batchdigits share: their parameters, the day of a run, and running a command.

Airflow's environment needs only Airflow: batchdigits runs in an environment of its own, and every
worker finds its Python in `BATCHDIGITS_PYTHON`. docs/airflow.md describes the set-up.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

REJECTS = 3  # published, with more rejects than allowed
DRIFT = 4  # published, with more drift than allowed
TRANSIENT = frozenset({70, 74, 75, 129, 130, 143})  # a second try of the others changes nothing

POOL = "batchdigits"
"""Its slots are the commands that run at once; each uses every CPU of its worker."""

DEFAULT_ARGS = {"pool": POOL, "retries": 2, "retry_delay": timedelta(minutes=5)}

STORE = Param("/srv/batchdigits/bundles", type="string", description="the folder of bundles")
DAY = Param(
    None,
    type=["null", "string"],
    pattern=r"^\d{4}-\d\d-\d\d$",
    description="the day to work on; default: the day of the run's partition or logical date",
)
SCORING_PARAMS = {
    "day": DAY,
    "store": STORE,
    "bundle": Param(
        "digits@production", type="string", description="NAME@ALIAS, NAME@VERSION or a path"
    ),
    "max_rejects": Param(
        "0",
        type="string",
        pattern=r"^\d+(\.\d+)?%?$",
        description="rejects that a file may have, a count or a share such as 0.1%",
    ),
    "on_rejects": Param(
        "fail",
        enum=["fail", "warn"],
        description="what more rejects than that do to the task; the file is published either way",
    ),
    "max_drift": Param(
        0.25,
        type="number",
        minimum=0,
        maximum=1,
        description="drift that a file may have, 0 to 1; 1 allows any",
    ),
    "on_drift": Param(
        "warn", enum=["fail", "warn"], description="what more drift than that does to the task"
    ),
    "on_other": Param(
        "keep",
        enum=["keep", "fail", "replace"],
        description="what to do with outputs that another bundle or other options wrote",
    ),
}

logger = logging.getLogger("batchdigits")


def every_night(cron: str) -> CronPartitionTimetable:
    """Return a schedule of one run a day; its partition is the day before, such as 2026-11-27."""
    return CronPartitionTimetable(cron, timezone="UTC", run_offset=-1, key_format="%Y-%m-%d")


def day_of(context: Mapping[str, Any]) -> str:
    """Return the day that a run works on: of its parameter, its partition, or its logical date."""
    run = context["dag_run"]
    day = context["params"]["day"] or run.partition_key
    return str(day or (run.logical_date or run.run_after).date())


def dated(path: str, context: Mapping[str, Any]) -> str:
    """Return a path with the run's day in the place of `{day}`."""
    return path.replace("{day}", day_of(context))


def ok_of(params: Mapping[str, Any]) -> list[str]:
    """Return the flag with the causes that are only a warning."""
    causes = [cause for cause in ("rejects", "drift") if params[f"on_{cause}"] == "warn"]
    return [f"--ok={','.join(causes)}"] if causes else []


def batchdigits(
    *arguments: str, allowed: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a command of batchdigits; each line of its standard error is a warning of the task.

    Raises AirflowFailException for any exit code that is not allowed and that another try does not
    change, AirflowException for one that it may change.
    """
    python = os.environ.get("BATCHDIGITS_PYTHON")
    if not python:
        raise AirflowFailException(
            "BATCHDIGITS_PYTHON is not set; set it on the workers to the Python of the environment "
            "that batchdigits is installed in"
        )
    # -I: the worker's PYTHONPATH and working folder are not for the other environment.
    ended = run([python, "-I", "-m", "batchdigits", *arguments])
    for line in ended.stderr.splitlines():
        logger.warning(line)
    if ended.returncode not in allowed:
        raise failure(ended)
    return ended


def summary_of(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the summary that a command printed, and log it."""
    line = ended.stdout.strip().splitlines()[-1]
    logger.info(line)
    summary: dict[str, Any] = json.loads(line)
    return summary


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. If the task is stopped, SIGTERM stops the command."""
    try:
        process = subprocess.Popen(  # noqa: S603  # no shell: every argument arrives as it is
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
        )
    except OSError as error:
        raise AirflowFailException(f"{arguments[0]}: can't be run: {error.strerror}") from None
    with process:
        # Airflow's own handler is for operators with on_kill: a function would never hear of it.
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            stdout, stderr = process.communicate()
        finally:
            process.terminate()  # a timeout came; no effect on what has ended
            signal.signal(signal.SIGTERM, before)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


def failure(ended: subprocess.CompletedProcess[str]) -> AirflowException:
    """Return the first error of a failed command, as an exception that allows a retry or not."""
    lines = ended.stderr.strip().splitlines() or ["no message"]
    errors = [line for line in lines if ": error: " in line] or lines[-1:]
    more = f" (and {len(errors) - 1} more in the log)" if len(errors) > 1 else ""
    message = f"exit {ended.returncode}: {errors[0]}{more}"
    if ended.returncode in TRANSIENT or ended.returncode < 0:
        return AirflowException(message)
    return AirflowFailException(message)
