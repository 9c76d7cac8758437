"""Score every file of a folder each night, with one mapped task for each file.

Airflow's environment needs only Airflow: batchdigits runs in an environment of its own, and every
worker finds its Python in `BATCHDIGITS_PYTHON`. docs/scheduling.md describes the set-up.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
OWN_OUTPUTS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")

REJECTS = 3  # published, with more rejects than allowed
DRIFT = 4  # published, with more drift than allowed
ALLOWED = {REJECTS: "on_rejects", DRIFT: "on_drift"}
TRANSIENT = frozenset({70, 74, 75, 129, 130, 143})  # a second try of the others changes nothing

PARAMS = {
    "folder": Param(
        "/srv/batchdigits/incoming",
        type="string",
        minLength=1,
        description="its CSV and Parquet files are scored; every worker must see it at this path",
    ),
    "output": Param(
        "/srv/batchdigits/scored",
        type="string",
        minLength=1,
        description="the folder for predictions, rejects and receipts",
    ),
    "store": Param("/srv/batchdigits/bundles", type="string", description="the folder of bundles"),
    "bundle": Param(
        "digits@production", type="string", description="NAME@ALIAS, NAME@VERSION or a path"
    ),
    "max_rejects": Param(
        "0",
        type="string",
        pattern=r"^\d+(\.\d+)?%?$",
        description="rejected rows that a file may have, a count or a share such as 0.1%",
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
    "on_empty": Param(
        "fail", enum=["fail", "skip"], description="what a folder without files does to the run"
    ),
}

logger = logging.getLogger("batchdigits")


@dag(
    dag_id="batchdigits_nightly",
    schedule="10 4 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    tags=["batchdigits"],
    doc_md=__doc__,
)
def batchdigits_nightly() -> None:
    """List the folder, then score each of its files."""
    score.expand(file=list_files())


@task
def list_files() -> list[str]:
    """List the folder's inputs. An empty folder fails, as in predict, or skips the scoring."""
    params = get_current_context()["params"]
    folder = params["folder"]
    try:
        files = inputs_of(folder)
    except OSError as error:
        raise AirflowFailException(f"{folder}: can't be read: {error.strerror}") from None
    if not files and params["on_empty"] == "fail":
        raise AirflowFailException(f"{folder}: no input; looked for {' '.join(SUFFIXES)}")
    return files


# One predict uses every CPU it may: two at a time keep one worker machine busy.
@task(max_active_tis_per_dag=2, map_index_template="{{ file_name }}")
def score(file: str) -> dict[str, Any]:
    """Score one file; return its entry in predict's summary."""
    context: Any = get_current_context()
    context["file_name"] = Path(file).name
    params = context["params"]
    ended = run(command(file, params))
    for line in ended.stderr.splitlines():
        logger.warning(line)
    if ended.returncode not in (0, *ALLOWED):
        raise failure(ended)
    result: dict[str, Any] = json.loads(ended.stdout)["inputs"][0]
    logger.info("%s: %s", result["status"], ended.stdout.strip())
    above = codes_above(ended.returncode, result, params)
    for code in above:
        logger.warning(above_limit(file, code, result, params))
    for code in above:
        if params[ALLOWED[code]] == "fail":
            raise AirflowFailException(above_limit(file, code, result, params))
    return result


def codes_above(code: int, result: dict[str, Any], params: dict[str, Any]) -> list[int]:
    """Return the limits that a published file exceeds: predict's exit code names only the first."""
    if result["status"] == "kept":
        return []
    has_drifted = result["drift"] is not None and result["drift"] > float(params["max_drift"])
    drifted = [DRIFT] if has_drifted and code != DRIFT else []
    return [*([code] if code else []), *drifted]


def above_limit(file: str, code: int, result: dict[str, Any], params: dict[str, Any]) -> str:
    """Return one line on a file that is published although it exceeds a limit."""
    if code == REJECTS:
        return (
            f"{file}: published, but {result['rows_rejected']} of {result['rows_in']} rows were "
            f"rejected and {params['max_rejects']} are allowed; see {result['rejects']}"
        )
    return (
        f"{file}: published, but its drift ({result['drift_of']}) is {result['drift']} and "
        f"{params['max_drift']} is allowed; see {result['receipt']}"
    )


def inputs_of(folder: str) -> list[str]:
    """Return the files that predict takes from a folder, sorted by name."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.is_dir())
    return [str(Path(folder, name)) for name in names if _is_input(name)]


def _is_input(name: str) -> bool:
    skipped = name.startswith((".", "_")) or any(fnmatchcase(name, own) for own in OWN_OUTPUTS)
    return name.lower().endswith(SUFFIXES) and not skipped


def command(file: str, params: dict[str, Any]) -> list[str]:
    """Return the predict command for one file."""
    python = os.environ.get("BATCHDIGITS_PYTHON")
    if not python:
        raise AirflowFailException(
            "BATCHDIGITS_PYTHON is not set; set it on the workers to the Python of the environment "
            "that batchdigits is installed in"
        )
    # -I: the worker's PYTHONPATH and working folder are not for the other environment.
    return [
        *(python, "-I", "-m", "batchdigits.predict"),
        f"--store={params['store']}",
        f"--bundle={params['bundle']}",
        f"--max-rejects={params['max_rejects']}",
        f"--max-drift={params['max_drift']}",
        f"--on-other={params['on_other']}",
        f"--output={params['output']}/",
        "--log-format=text",
        *("--", file),
    ]


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
    """Return the one line of a failed command, as an exception that allows a retry or not."""
    lines = ended.stderr.strip().splitlines() or ["no message"]
    message = f"exit {ended.returncode}: {lines[-1]}"
    if ended.returncode in TRANSIENT or ended.returncode < 0:
        return AirflowException(message)
    return AirflowFailException(message)


batchdigits_nightly()
