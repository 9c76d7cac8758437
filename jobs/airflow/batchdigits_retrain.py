"""Train on labelled rows and on what reviewers said, compare, and promote behind a gate.

The new bundle is promoted only if it is no less accurate than the one in production on the rows of
`gate`, which are never trained on. Else the run fails with the line of the gate, and production
stays as it is. docs/airflow.md describes the set-up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Param, dag, get_current_context, task
from batchdigits_commands import DEFAULT_ARGS, STORE, batchdigits, logger, summary_of

PRODUCTION = Asset("batchdigits_production")

PARAMS = {
    "labelled": Param(
        ["/srv/batchdigits/labelled.parquet"],
        type="array",
        items={"type": "string"},
        description="files and folders of labelled rows to train on",
    ),
    "gate": Param(
        "/srv/batchdigits/gate.parquet",
        type="string",
        description="labelled rows that decide about the promotion; they are never trained on",
    ),
    "reviews": Param(
        "/srv/batchdigits/nights/*/review",
        type="string",
        description="a glob of finished reviews; what reviewers said is trained on, too",
    ),
    "corrections": Param(
        "/srv/batchdigits/corrections",
        type="string",
        description="the folder for the labelled rows of reviews",
    ),
    "store": STORE,
    "name": Param("digits", type="string", description="the name of the bundle"),
    "alias": Param("production", type="string", description="the alias to move"),
    "max_regression": Param(
        "0", type="string", description="how much less accurate the bundle may be, such as 0.5%"
    ),
    "train_flags": Param(
        [],
        type="array",
        items={"type": "string"},
        description="other flags of train, such as --max-error=0.5%",
    ),
}


@dag(
    dag_id="batchdigits_retrain",
    schedule="30 13 * * 0",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args=DEFAULT_ARGS,
    tags=["batchdigits"],
    doc_md=__doc__,
)
def batchdigits_retrain() -> None:
    """Collect the corrections, train, compare, promote."""
    promote(evaluate(train(collect())))


@task
def collect() -> list[str]:
    """Write what reviewers said as labelled rows; return all that is trained on."""
    params: Any = get_current_context()["params"]
    folder, pattern = Path(params["corrections"]), Path(params["reviews"])
    top = Path(pattern.anchor)
    data = list(params["labelled"])
    for review in sorted(top.glob(str(pattern.relative_to(top)))):
        if any(review.glob("*.journal.jsonl")):
            folder.mkdir(parents=True, exist_ok=True)
            rows = folder / f"{review.parent.name}.parquet"
            batchdigits("review", "rows", f"--output={rows}", "--overwrite", "--", str(review))
            data.append(str(rows))
    return data


@task
def train(data: list[str]) -> str:
    """Train a bundle; return NAME@VERSION."""
    params: Any = get_current_context()["params"]
    ended = batchdigits(
        *("train", *(f"--data={path}" for path in data)),
        *(f"--name={params['name']}", f"--store={params['store']}", *params["train_flags"]),
    )
    return f"{params['name']}@{summary_of(ended)['version']}"


@task
def evaluate(bundle: str) -> dict[str, Any]:
    """Measure the new bundle on the rows of the gate, and log how it differs from production."""
    params: Any = get_current_context()["params"]
    summary = summary_of(
        batchdigits("evaluate", f"--bundle={bundle}", f"--store={params['store']}", params["gate"])
    )
    return {"bundle": bundle, "accuracy": summary["accuracy"]}


@task(outlets=[PRODUCTION])
def promote(measured: dict[str, Any]) -> None:
    """Move the alias to the new bundle, if the gate lets it pass."""
    context: Any = get_current_context()
    params = context["params"]
    ended = batchdigits(
        *("bundles", "promote", measured["bundle"], f"--alias={params['alias']}"),
        *(f"--store={params['store']}", f"--data={params['gate']}"),
        f"--max-regression={params['max_regression']}",
        f"--reason=batchdigits_retrain {context['run_id']}",
    )
    logger.info(ended.stdout.strip())
    context["outlet_events"][PRODUCTION].extra = measured


batchdigits_retrain()
