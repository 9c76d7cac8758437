"""Score the files of a day, shared out among at most 64 mapped tasks.

Each task runs `predict --shard I/N` on the folder of the day, and the last one reports the night as
an event of the asset `batchdigits_scored`, with the counts as its extra. A backfill scores past
days; what is done is left as it is. docs/airflow.md describes the set-up.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from batchdigits_commands import (
    DEFAULT_ARGS,
    SCORING_PARAMS,
    batchdigits,
    dated,
    day_of,
    every_night,
    ok_of,
    summary_of,
)

SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".parq", ".pq")
OWN_OUTPUTS = ("*.predictions.*", "*.rejects.*", "*.reviewed.*", "*.receipt.json")

SCORED = Asset("batchdigits_scored")

PARAMS = {
    "folder": Param(
        "/srv/batchdigits/incoming/day={day}",
        type="string",
        minLength=1,
        description="its CSV and Parquet files are scored; every worker must see it at this path",
    ),
    "output": Param(
        "/srv/batchdigits/scored/day={day}",
        type="string",
        minLength=1,
        description="the folder for predictions, rejects and receipts",
    ),
    **SCORING_PARAMS,
    "shards": Param(
        16,
        type="integer",
        minimum=1,
        maximum=64,
        description="the most mapped tasks; each scores a share of the files",
    ),
    "on_empty": Param(
        "skip", enum=["skip", "fail"], description="what a day without files does to the run"
    ),
}


@dag(
    dag_id="batchdigits_nightly",
    schedule=every_night("10 4 * * *"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args=DEFAULT_ARGS,
    tags=["batchdigits"],
    doc_md=__doc__,
)
def batchdigits_nightly() -> None:
    """Count the files, score a share of them in each mapped task, then report."""
    report(score.expand(shard=list_shards()))


@task
def list_shards() -> list[str]:
    """Share out the files of the day: I/N for each shard, no more of them than files."""
    context: Any = get_current_context()
    params, folder = context["params"], dated(context["params"]["folder"], context)
    files = len(inputs_of(folder)) if _is_there(folder, params["folder"]) else 0
    if not files:
        nothing = f"{folder}: no input; looked for {' '.join(SUFFIXES)}"
        raise (AirflowSkipException if params["on_empty"] == "skip" else AirflowFailException)(
            nothing
        )
    shards = min(params["shards"], files)
    return [f"{shard}/{shards}" for shard in range(shards)]


@task(map_index_template="{{ shard }}")
def score(shard: str) -> dict[str, Any]:
    """Score the files of a shard; return the counts. The log has the summary of every file."""
    context: Any = get_current_context()
    context["shard"] = shard
    params = context["params"]
    summary = summary_of(
        batchdigits(
            "predict",
            f"--shard={shard}",
            f"--store={params['store']}",
            f"--bundle={params['bundle']}",
            f"--max-rejects={params['max_rejects']}",
            f"--max-drift={params['max_drift']}",
            f"--on-other={params['on_other']}",
            *ok_of(params),
            f"--output={dated(params['output'], context)}/",
            "--log-format=text",
            *("--", f"{dated(params['folder'], context)}/"),
        )
    )
    statuses = Counter(entry["status"] for entry in summary["inputs"])
    rows = {name: summary[name] for name in ("rows_in", "rows_predicted", "rows_rejected")}
    return {"files": len(summary["inputs"]), **statuses, **rows, "bundle": summary["bundle"]}


@task(outlets=[SCORED], pool="default_pool")
def report(shards: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the counts of all shards, and report them as an event of the asset."""
    context: Any = get_current_context()
    shards = list(shards)
    counts: Counter[str] = Counter()
    for shard in shards:
        counts.update({name: value for name, value in shard.items() if name != "bundle"})
    bundle = next((shard["bundle"] for shard in shards if shard["bundle"]), None)
    summary = {"day": day_of(context), **counts, "bundle": bundle}
    context["outlet_events"][SCORED].extra = summary
    return summary


def inputs_of(folder: str) -> list[str]:
    """Return the files that predict takes from a folder and its subfolders key=value, sorted."""
    return sorted(_walk(folder))


def _walk(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                if _is_input(entry.name):
                    yield entry.path
            elif entry.name.find("=") > 0 and entry.name[0] != "." and not entry.is_symlink():
                yield from _walk(entry.path)


def _is_input(name: str) -> bool:
    skipped = name.startswith((".", "_")) or any(fnmatchcase(name, own) for own in OWN_OUTPUTS)
    return name.lower().endswith(SUFFIXES) and not skipped


def _is_there(folder: str, pattern: str) -> bool:
    """Return whether the day has a folder. Fails if that of all days is gone, or unreadable."""
    try:
        os.scandir(folder).close()
    except OSError as error:
        may_be_absent = pattern != folder and Path(folder).parent.is_dir()
        if may_be_absent and isinstance(error, FileNotFoundError):
            return False
        raise AirflowFailException(f"{folder}: can't be read: {error.strerror}") from None
    return True


batchdigits_nightly()
