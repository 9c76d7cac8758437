"""The whole night: the pages of a day become rows, predictions, fields, a review and a page.

One task a step; each continues where it was. Rejects and drift above the limits fail the last task,
after everything is written. docs/night.md describes the files, docs/airflow.md the set-up.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from batchdigits_commands import (
    DEFAULT_ARGS,
    DRIFT,
    REJECTS,
    SCORING_PARAMS,
    batchdigits,
    dated,
    day_of,
    every_night,
    logger,
    ok_of,
    summary_of,
)

NIGHT = Asset("batchdigits_night")

PARAMS = {
    "delivery": Param(
        "/srv/batchdigits/incoming/{day}",
        type="string",
        minLength=1,
        description="the folder of a day's pages, or one document",
    ),
    "night": Param(
        "/srv/batchdigits/nights/{day}",
        type="string",
        minLength=1,
        description="the folder for all that is made of them",
    ),
    "templates": Param(
        "/srv/batchdigits/templates", type="string", description="the folder of templates"
    ),
    **SCORING_PARAMS,
    "review_below": Param(
        0.95,
        type="number",
        minimum=0,
        maximum=1,
        description="characters with less confidence go to review",
    ),
}


@dag(
    dag_id="batchdigits_pages",
    schedule=every_night("10 2 * * *"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args=DEFAULT_ARGS,
    tags=["batchdigits"],
    doc_md=__doc__,
)
def batchdigits_pages() -> None:
    """Run the steps one after the other."""
    read = forms()
    predicted = predict(read)
    fields(predicted) >> review() >> report([read, predicted])


@task
def forms() -> dict[str, Any]:
    """Read the pages: a row of each character. A day without pages is skipped."""
    context: Any = get_current_context()
    params, delivery = context["params"], Path(dated(context["params"]["delivery"], context))
    if not delivery.parent.is_dir():
        raise AirflowFailException(f"{delivery.parent}: no such folder")
    if not delivery.exists() or (delivery.is_dir() and not any(delivery.iterdir())):
        raise AirflowSkipException(f"{delivery}: no pages")
    night = _night(context)
    night.mkdir(parents=True, exist_ok=True)
    ended = batchdigits(
        *("forms", "read", f"--template={params['templates']}"),
        f"--output={night / 'rows.parquet'}",
        f"--max-rejects={params['max_rejects']}",
        *("--", str(delivery)),
        allowed=(0, REJECTS),
    )
    return _above(ended.returncode, ended.stderr) | {"summary": summary_of(ended)}


@task
def predict(_read: dict[str, Any]) -> dict[str, Any]:
    """Score the rows."""
    context: Any = get_current_context()
    params = context["params"]
    ended = batchdigits(
        *("predict", f"--store={params['store']}", f"--bundle={params['bundle']}"),
        f"--review-below={params['review_below']}",
        f"--max-rejects={params['max_rejects']}",
        f"--max-drift={params['max_drift']}",
        f"--on-other={params['on_other']}",
        *ok_of(params),
        *("--", str(_night(context) / "rows.parquet")),
        allowed=(0, REJECTS, DRIFT),
    )
    return _above(ended.returncode, ended.stderr) | {"summary": summary_of(ended)}


@task
def fields(_predicted: dict[str, Any]) -> dict[str, Any]:
    """Put the characters of each field together."""
    context: Any = get_current_context()
    night = _night(context)
    ended = batchdigits(
        *("fields", f"--group={_group(context)}", f"--template={context['params']['templates']}"),
        f"--output={night / 'fields.parquet'}",
        *("--", str(night / "rows.predictions.parquet")),
    )
    return summary_of(ended)


@task
def review() -> None:
    """Make the page of the characters in doubt, once: somebody may be at work on it."""
    context: Any = get_current_context()
    night = _night(context)
    if (night / "review" / "index.html").exists():
        logger.info("unchanged: %s", night / "review")
        return
    batchdigits(
        *("review", "make", "--allow-empty", f"--group={_group(context)}"),
        f"--store={context['params']['store']}",
        f"--output={night / 'review'}",
        *("--", str(night / "rows.predictions.parquet")),
    )


@task(outlets=[NIGHT])
def report(steps: list[dict[str, Any]]) -> None:
    """Write the page of the night, report it as an event, and judge it by its limits."""
    context: Any = get_current_context()
    params, night, steps = context["params"], _night(context), list(steps)
    batchdigits(
        *("report", f"--store={params['store']}", f"--title={day_of(context)}"),
        *(f"--output={night / 'night.html'}", "--", str(night)),
    )
    summaries = dict(zip(("forms", "predict"), (step["summary"] for step in steps), strict=True))
    summaries["predict"].pop("inputs")
    context["outlet_events"][NIGHT].extra = {"day": day_of(context), **summaries}
    for step in steps:
        cause = {REJECTS: "on_rejects", DRIFT: "on_drift"}.get(step["code"])
        if cause is not None and params[cause] == "fail":
            raise AirflowFailException(f"exit {step['code']}: {step['line']}")


def _above(code: int, errors: str) -> dict[str, Any]:
    lines = [line for line in errors.splitlines() if ": error: " in line]
    return {"code": code, "line": lines[0] if lines else ""}


def _night(context: Any) -> Path:
    return Path(dated(context["params"]["night"], context))


def _group(context: Any) -> str:
    """Return the columns that name a field: of several templates, `template` is one of them."""
    templates = list(Path(context["params"]["templates"]).glob("*.json"))
    return "file,page,template,field" if len(templates) > 1 else "file,page,field"


batchdigits_pages()
