"""Files mode: one task a file, and what `predict` would have written and returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from paths import ROOT, SAMPLE_DATA
from spark_cluster import Cluster

from batchdigits import api
from batchdigits.files.lock import hold_lock
from batchdigits.predict import parser
from batchdigits.rows.options import Machine
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.run import gather
from batchdigits.spark.files import absolute, plan_tasks, score_file, wait_for_lock

JOB = ROOT / "jobs" / "spark" / "score_files.py"
FLAGS = ("--output", "out/", "--max-rejects", "5%")


def keywords_of(*argv: str) -> dict[str, Any]:
    from batchdigits.cli.flags import keywords_of as keywords

    return keywords(parser().parse_args(argv))


def write_inputs(folder: Path) -> None:
    """Write four files: two of digits, one with too many rejects, one that is no table."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    day = folder / "in" / "day=2026-11-27"
    day.mkdir(parents=True)
    pq.write_table(table, day / "a.parquet")
    pq.write_table(table.slice(0, 500), day / "b.parquet")
    bad = table["pixel_3"].to_numpy().copy()
    bad[:200] = 99
    place = table.schema.get_field_index("pixel_3")
    pq.write_table(table.set_column(place, "pixel_3", pa.array(bad)), day / "c.parquet")
    (day / "d.parquet").write_bytes(b"PAR1 is no table PAR1")


def summary_of(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without its times."""
    return {k: v for k, v in summary.items() if k not in ("seconds", "rows_per_second")}


def outputs_of(folder: Path) -> dict[str, bytes]:
    """The bytes of all outputs by name; the receipts without their times."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name.endswith(".json"):
                facts = json.loads(data)
                data = json.dumps(
                    {k: v for k, v in facts.items() if k not in ("started", "finished", "seconds")}
                ).encode()
            found[str(path.relative_to(folder))] = data
    return found


def test_paths_become_absolute_and_keep_what_they_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = absolute(keywords_of("in/", "/x/*.csv", "--output", "out/"))
    assert given["inputs"] == [f"{tmp_path}/in/", "/x/*.csv"]
    assert given["output"] == f"{tmp_path}/out/"


def test_a_task_has_the_machine_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But one thread, unless more were asked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big").mkdir()
    sample = str(SAMPLE_DATA / "digits.parquet")
    flags = ("--output", "out/", "--scratch", "big", "--batch-size", "77")
    _, options = plan_tasks(keywords_of(sample, *flags))
    assert options.machine == Machine(1, 77, f"{tmp_path}/big")
    _, options = plan_tasks(keywords_of(sample, *flags, "--workers", "3"))
    assert options.machine.workers == 3


def test_another_attempt_waits_for_the_lock_and_finds_the_work_done(tmp_path: Path) -> None:
    """A first attempt is busy at once, as on one machine."""
    pq.write_table(pq.read_table(SAMPLE_DATA / "digits.parquet"), tmp_path / "a.parquet")
    keywords = keywords_of(str(tmp_path / "a.parquet"))
    (planned,), options = api.plan_run(keywords)
    bundle = api.open_bundle().file
    receipt = planned[1].receipt
    with hold_lock(receipt):
        assert score_file(planned, bundle, options, again=False)[0].exit_code == 75
        waiting = threading.Thread(target=wait_for_lock, args=[receipt])
        waiting.start()
        time.sleep(0.1)
        assert waiting.is_alive()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    first, drift = score_file(planned, bundle, options, again=True)
    assert (first.status, first.exit_code) == ("scored", 0)
    again, same = score_file(planned, bundle, options, again=True)
    assert again.status == "unchanged"
    assert same.facts == drift.facts == Receipt.read(receipt).drift.facts


def test_files_that_together_do_not_look_like_digits_end_with_65_as_on_one_machine(
    tmp_path: Path,
) -> None:
    """Each task sees three rows alone, which prove nothing."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = [name for name in table.schema.names if name.startswith("pixel_")]
    for n in range(5):
        rows = table.select(pixels).slice(3 * n, 3)
        inverted = [pc.subtract(16, column) for column in rows.columns]
        pq.write_table(pa.table(inverted, pixels), tmp_path / f"{n}.parquet")
    planned, options = api.plan_run(keywords_of(str(tmp_path), "--output", f"{tmp_path}/out/"))
    bundle = api.open_bundle().file
    results = [score_file(each, bundle, options, again=False) for each in planned]
    assert {result.exit_code for result, _ in results} == {0}
    summary = gather(results, options, bundle, 1.0)
    assert (summary.exit_code, len(summary.suspect_inputs)) == (65, 5)
    assert api.score(tmp_path, output=f"{tmp_path}/again/").exit_code == 65


@pytest.fixture
def submit(cluster: Cluster, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the job by spark-submit."""

    def run(*arguments: str, conf: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        settings = ("spark.executor.memory=600m", "spark.ui.enabled=false", *conf)
        return subprocess.run(
            [
                str(Path(sys.executable).with_name("spark-submit")),
                *("--master", cluster.url),
                *(part for setting in settings for part in ("--conf", setting)),
                *(str(JOB), *arguments),
            ],
            env={**os.environ, **cluster.environment, "SPARK_DRIVER_BIND_ADDRESS": "127.0.0.1"},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return run


@pytest.mark.spark
def test_files_summary_receipts_and_exit_code_are_those_of_predict(
    submit: Callable[..., subprocess.CompletedProcess[str]], folder: Path
) -> None:
    write_inputs(folder)
    expected = api.score(folder / "in", output=f"{folder}/out/", max_rejects="5%", workers=1)
    written = outputs_of(folder / "out")
    (folder / "out").rename(folder / "by-predict")
    done = submit("in", *FLAGS, "--json")
    assert done.returncode == expected.exit_code == 65, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary_of(summary) == summary_of(json.loads(json.dumps(expected.as_dict())))
    assert outputs_of(folder / "out") == written
    assert "d.parquet: can't be read as Parquet" in done.stdout  # spark-submit joins the two
    again = submit("in", *FLAGS, "--json")
    statuses = [each["status"] for each in json.loads(again.stdout.splitlines()[-1])["inputs"]]
    assert statuses == ["unchanged", "unchanged", "unchanged", "refused"]


@pytest.mark.spark
def test_errors_of_the_whole_run_are_one_line(
    submit: Callable[..., subprocess.CompletedProcess[str]], folder: Path
) -> None:
    done = submit("absent/*.csv")
    assert done.returncode == 66
    lines = [line for line in done.stdout.splitlines() if "absent" in line]
    assert len(lines) == 1, done.stdout
    assert "Traceback" not in done.stdout
