"""The DAGs of jobs/airflow, run by a real Airflow whose environment has no batchdigits.

The tests are left out unless AIRFLOW_PYTHON names the Python of Airflow's environment, which
.ci/airflow makes. With AIRFLOW_FULL=1 they use 5,000 files and 30 days instead of a tenth.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from paths import FORMAT_1_BUNDLE, ROOT, SAMPLE_DATA

from batchdigits.files.inputs import expand_inputs
from batchdigits.store.store import Store

pytestmark = pytest.mark.airflow

DAGS = ROOT / "jobs" / "airflow"
DAG = "batchdigits_nightly"
DAY = "2026-11-27"
IS_FULL = os.environ.get("AIRFLOW_FULL") == "1"
FILES, DAYS = (5000, 30) if IS_FULL else (500, 3)
PATIENCE = 3600.0 if IS_FULL else 300.0  # seconds

WriteForms = Callable[..., Path]
WriteManyForms = Callable[[Path], None]
PredictStoppedMidway = Callable[[Path, Path], AbstractContextManager[None]]


@dataclass(frozen=True)
class Airflow:
    """An Airflow with a database of its own, on one folder of forms."""

    python: Path
    home: Path
    folder: Path
    output: Path
    store: Path

    def start(
        self,
        *command: str,
        environment: Mapping[str, str],
        log: int = subprocess.PIPE,
        alone: bool = False,
    ) -> subprocess.Popen[str]:
        """Start an airflow command without this process' environment; `alone`: in its own group."""
        return subprocess.Popen(
            [self.python, "-m", "airflow", *command],
            env={
                "PATH": os.defpath,
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "BATCHDIGITS_PYTHON": sys.executable,
                **environment,
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=alone,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run an airflow command; return its exit code and all its output."""
        process = self.start(*command, environment={})
        log, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, log

    def conf(self, **params: Any) -> str:
        """Return the parameters of the nightly DAG for these folders."""
        folders = {"folder": self.folder, "output": self.output, "store": self.store}
        return json.dumps({**{name: str(path) for name, path in folders.items()}, **params})

    def dags_test(self, dag: str = DAG, **params: Any) -> tuple[str, ...]:
        """Return the command that runs a DAG once, for the day 2026-11-27."""
        return "dags", "test", dag, DAY, "--conf", self.conf(**params)

    @contextmanager
    def running(self, log: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run the DAG, and kill it at the end, because a retry waits for minutes."""
        with log.open("w") as file:
            process = self.start(*self.dags_test(), environment=environment, log=file.fileno())
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def partitions(self, days: list[str]) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the events of the scored days, oldest first."""
        return [event for event in self.events("batchdigits_scored") if event[0] in days]

    @contextmanager
    def cluster(self, folder: Path) -> Iterator[Path]:
        """Run Airflow's own server, scheduler and processor of DAGs; yield the scheduler's log."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "of this test",
            "AIRFLOW__API_AUTH__JWT_SECRET": "of this test, and as long as Airflow wants it, " * 2,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
        }
        processes = []
        try:
            for command in ("api-server", "scheduler", "dag-processor"):
                with (folder / f"{command}.log").open("w") as log:
                    processes.append(
                        self.start(command, environment=environment, log=log.fileno(), alone=True)
                    )
            yield folder / "scheduler.log"
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def states(self, task: str = "score") -> list[str | None]:
        """The state of each mapped task of the last run, or of the one that is not mapped."""
        query = (
            "select state from task_instance where task_id = ? and "
            "run_id = (select run_id from dag_run order by id desc limit 1) order by map_index"
        )
        return [state for (state,) in self.rows(query, task)]

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def events(self, asset: str) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the events of an asset, oldest first: their partition and their extra."""
        query = (
            "select partition_key, extra from asset_event where asset_id = "
            "(select id from asset where name = ?) order by id"
        )
        return [(partition, json.loads(extra)) for partition, extra in self.rows(query, asset)]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Airflow's Python, and a home with a fresh database."""
    python, home = Path(os.environ["AIRFLOW_PYTHON"]), tmp_path_factory.mktemp("airflow")
    airflow = Airflow(python, home, home, home, home)
    for command in (("db", "migrate"), ("pools", "set", "batchdigits", "2", "commands at once")):
        code, log = airflow.run(*command)
        assert code == 0, log
    return python, home


@pytest.fixture
def airflow(airflow_home: tuple[Path, Path], store: Path, tmp_path: Path) -> Airflow:
    """A real Airflow, an empty folder for forms and a folder for the results."""
    (tmp_path / "incoming").mkdir()
    return Airflow(*airflow_home, tmp_path / "incoming", tmp_path / "scored", store)


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    """Wait until the condition holds; a failure shows the log."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


def test_airflow_imports_the_dags_without_errors(airflow: Airflow) -> None:
    """They need only what a plain Airflow has, and the module beside them."""
    code, log = airflow.run("dag-processor", "--num-runs", "1")
    assert code == 0, log
    code, log = airflow.run("dags", "list-import-errors")
    assert code == 0, log
    assert "No data found" in log
    names = {dag for (dag,) in airflow.rows("select dag_id from dag")}
    assert names >= {"batchdigits_nightly", "batchdigits_pages", "batchdigits_retrain"}


def test_every_dag_that_scores_tells_predict_what_is_only_a_warning() -> None:
    scoring = [text for path in DAGS.glob("*.py") if '"predict"' in (text := path.read_text())]
    assert len(scoring) == 2
    assert all("*ok_of(params)," in text for text in scoring)


def test_every_file_is_published_and_a_bad_one_fails_its_shard(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """Good files are published, a later bad one fails with one line, and nothing is done twice."""
    for name in ("a.parquet", "b c.parquet"):
        write_forms(airflow.folder / name)

    code, log = airflow.run(*airflow.dags_test())
    assert code == 0, log
    assert airflow.states() == ["success", "success"]
    published = sorted(path.name for path in airflow.output.iterdir())
    assert published == [
        *("a.predictions.parquet", "a.receipt.json"),
        *("b c.predictions.parquet", "b c.receipt.json"),
    ]
    first = (airflow.output / "a.predictions.parquet").stat()
    counts = {"files": 2, "scored": 2, "rows_in": 40, "rows_predicted": 40, "rows_rejected": 0}
    _, summary = airflow.events("batchdigits_scored")[-1]
    assert summary.pop("bundle")["name"] == "digits"
    assert summary == {"day": DAY, **counts}

    broken = airflow.folder / "z.parquet"
    broken.write_bytes((airflow.folder / "a.parquet").read_bytes()[:3000])
    code, log = airflow.run(*airflow.dags_test(shards=1))
    assert code != 0
    assert airflow.states() == ["failed"]
    line = f"batchdigits predict: error: {broken}: can't be read as Parquet"
    assert f"AirflowFailException: exit 65: {line}" in log
    assert os.path.samestat((airflow.output / "a.predictions.parquet").stat(), first)
    assert sorted(path.name for path in airflow.output.iterdir()) == published


def test_rejects_fail_the_task_after_publishing_unless_told_to_warn(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """The line has the counts and the file of rejects, which exists."""
    forms = write_forms(airflow.folder / "forms.parquet", out_of_range=2)
    rejects = airflow.output / "forms.rejects.parquet"

    code, log = airflow.run(*airflow.dags_test(max_rejects="5%"))
    assert code != 0
    assert airflow.states() == ["failed"]
    line = f"batchdigits predict: error: {forms}: 2 of 20 rows were rejected (2 out-of-range)"
    assert f"AirflowFailException: exit 3: {line}" in log
    assert f"see {rejects}" in log
    assert pq.read_metadata(rejects).num_rows == 2
    assert pq.read_metadata(airflow.output / "forms.predictions.parquet").num_rows == 18

    code, log = airflow.run(*airflow.dags_test(max_rejects="5%", on_rejects="warn"))
    assert code == 0, log
    assert airflow.states() == ["success"]
    assert "2 of 20 rows were rejected" in log


def test_drift_is_a_warning_unless_told_to_fail(airflow: Airflow, write_forms: WriteForms) -> None:
    """The line says what drifted, how far, and which receipt has more."""
    forms = write_forms(airflow.folder / "forms.parquet", rows=500)
    code, log = airflow.run(*airflow.dags_test())
    assert code == 0, log
    told = f"{forms}: drift 0."
    assert told in log
    code, log = airflow.run(*airflow.dags_test(on_drift="fail"))
    assert code != 0
    assert airflow.states() == ["failed"]
    assert f"AirflowFailException: exit 4: batchdigits predict: error: {told}" in log
    assert (airflow.output / "forms.predictions.parquet").exists()


def test_drift_fails_beside_rejects_that_are_but_a_warning(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """predict's exit code names only the first of two limits; both count."""
    write_forms(airflow.folder / "forms.parquet", rows=600, out_of_range=2)
    code, log = airflow.run(*airflow.dags_test(on_rejects="warn", on_drift="fail"))
    assert code != 0
    assert "2 of 600 rows were rejected" in log
    assert "AirflowFailException: exit 4: " in log


def test_a_busy_output_is_tried_again(
    airflow: Airflow, predict_stopped_midway: PredictStoppedMidway, tmp_path: Path
) -> None:
    """A fault that passes by itself makes the task wait for its next try."""
    log = tmp_path / "log"
    forms = airflow.folder / "forms.parquet"
    with predict_stopped_midway(forms, airflow.output), airflow.running(log):
        wait_for(lambda: airflow.states() == ["up_for_retry"], log)
    assert "AirflowException: exit 75: batchdigits predict: error: " in log.read_text()


def test_a_stopped_task_stops_its_command(
    airflow: Airflow, write_many_forms: WriteManyForms, tmp_path: Path
) -> None:
    """SIGTERM reaches batchdigits, which ends with 143 and leaves nothing half-done."""
    import psutil

    write_many_forms(airflow.folder / "forms.parquet")
    log = tmp_path / "log"
    with airflow.running(log, BATCHDIGITS_WORKERS="1") as process:
        wait_for((airflow.output / ".forms.predictions.parquet.tmp").exists, log)
        (command,) = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: airflow.states() == ["up_for_retry"], log)
        assert not command.is_running()
    assert "AirflowException: exit 143: batchdigits predict: error: interrupted" in log.read_text()
    assert list(airflow.output.iterdir()) == []


def test_a_day_without_files_is_skipped_but_a_lost_folder_is_not(airflow: Airflow) -> None:
    """An absent day is no delivery; the absent folder of all days is a mount that is gone."""
    folder = f"{airflow.folder}/day={{day}}"
    code, log = airflow.run(*airflow.dags_test(folder=folder))
    assert code == 0, log
    assert airflow.states("list_shards") == ["skipped"]
    assert airflow.states("report") == ["skipped"]
    code, log = airflow.run(*airflow.dags_test(folder=folder, on_empty="fail"))
    assert code != 0
    assert f"AirflowFailException: {airflow.folder}/day={DAY}: no input" in log
    code, log = airflow.run(*airflow.dags_test(folder="/absent/day={day}"))
    assert code != 0
    assert f"AirflowFailException: /absent/day={DAY}: can't be read: No such file" in log


def test_thousands_of_files_are_a_few_mapped_tasks(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """Each file is scored once, in the task of its shard; no task is left without files."""
    form = write_forms(airflow.folder / "0000.parquet", rows=1)
    for number in range(1, FILES):
        shutil.copy(form, airflow.folder / f"{number:04}.parquet")
    shards = 64 if IS_FULL else 8
    code, log = airflow.run(*airflow.dags_test(shards=shards))
    assert code == 0, log
    assert airflow.states() == ["success"] * shards
    _, summary = airflow.events("batchdigits_scored")[-1]
    assert summary["files"] == summary["scored"] == summary["rows_predicted"] == FILES
    assert len(list(airflow.output.glob("*.receipt.json"))) == FILES


ACTIVE_BACKFILLS = "select id from backfill where completed_at is null"


def test_a_backfill_scores_each_day_once(
    airflow: Airflow, write_forms: WriteForms, tmp_path: Path
) -> None:
    """Airflow's own backfill, with its scheduler: a partition a day; the second finds all done."""
    days = [str(date(2026, 3, 1) + timedelta(days=number)) for number in range(DAYS)]
    for day in days:
        (airflow.folder / f"day={day}").mkdir()
        write_forms(airflow.folder / f"day={day}" / "forms.parquet")
    conf = airflow.conf(
        folder=f"{airflow.folder}/day={{day}}", output=f"{airflow.output}/day={{day}}"
    )
    backfill = (
        *("backfill", "create", "--dag-id", DAG, "--dag-run-conf", conf),
        *("--from-date", days[0], "--to-date", str(date(2026, 3, 1) + timedelta(days=DAYS))),
        *("--reprocess-behavior", "completed"),
    )
    with airflow.cluster(tmp_path) as log:
        code, told = airflow.run("dags", "unpause", DAG)
        assert code == 0, told
        for times, status in ((1, "scored"), (2, "unchanged")):
            code, told = airflow.run(*backfill)
            assert code == 0, told
            wait_for(lambda times=times: len(airflow.partitions(days)) == times * DAYS, log)
            wait_for(lambda: not airflow.rows(ACTIVE_BACKFILLS), log)
            events = airflow.partitions(days)[-DAYS:]
            assert sorted(partition for partition, _ in events) == days
            for partition, summary in events:
                assert summary["day"] == partition
                assert (summary["files"], summary[status], summary["rows_in"]) == (1, 1, 20)
        airflow.run("dags", "pause", DAG)
    receipts = [airflow.output / f"day={day}" / "forms.receipt.json" for day in days]
    assert all(receipt.exists() for receipt in receipts)


def test_the_whole_night_is_a_task_a_step(airflow: Airflow, tmp_path: Path) -> None:
    """A page that can't be read fails the last task, when everything else is written."""
    form = SAMPLE_DATA / "form"
    (tmp_path / "templates").mkdir()
    for name in ("form.json", "blank.png"):
        shutil.copy(form / name, tmp_path / "templates")
    delivery = airflow.folder / DAY
    delivery.mkdir()
    shutil.copy(form / "page.png", delivery)
    (delivery / "z.png").write_bytes((form / "page.png").read_bytes()[:3000])
    params = {
        "delivery": f"{airflow.folder}/{{day}}",
        "night": f"{tmp_path}/nights/{{day}}",
        "templates": str(tmp_path / "templates"),
        "store": str(airflow.store),
        "max_drift": 1,
    }
    for _ in range(2):
        run = ("dags", "test", "batchdigits_pages", DAY, "--conf", json.dumps(params))
        code, log = airflow.run(*run)
        assert code != 0
        assert [airflow.states(task) for task in ("forms", "predict", "fields", "review")] == [
            ["success"]
        ] * 4
        assert airflow.states("report") == ["failed"]
        assert "AirflowFailException: exit 3: batchdigits forms: error: " in log
        night = tmp_path / "nights" / DAY
        key = json.loads((form / "key.json").read_text())["page.png"][0]
        assert pq.read_metadata(night / "fields.parquet").num_rows == len(key)
        assert (night / "night.html").exists()
        assert (night / "review" / "index.html").exists()
    code, log = airflow.run(*run[:-1], json.dumps({**params, "on_rejects": "warn"}))
    assert code == 0, log
    _, summary = airflow.events("batchdigits_night")[-1]
    assert (summary["forms"]["pages_read"], summary["forms"]["pages_refused"]) == (1, 1)
    delivery.rename(airflow.folder / "elsewhere")
    code, log = airflow.run(*run)
    assert code == 0, log
    assert airflow.states("forms") == ["skipped"]


def test_a_retrained_bundle_is_promoted_only_through_the_gate(
    airflow: Airflow, tmp_path: Path
) -> None:
    """Ten rows teach too little: production stays; a thousand rows teach enough."""
    store = Store(tmp_path / "store")
    (tmp_path / "store").mkdir()
    store.publish("digits", lambda _version: FORMAT_1_BUNDLE.read_bytes())
    store.set_alias("digits", "production", 1)
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    for name, start, rows in (("few", 0, 60), ("many", 0, 1200), ("gate", 1300, 497)):
        pq.write_table(table.slice(start, rows), tmp_path / f"{name}.parquet")

    def retrain(data: str) -> tuple[int, str]:
        params = {
            "labelled": [str(tmp_path / f"{data}.parquet")],
            "gate": str(tmp_path / "gate.parquet"),
            "reviews": str(tmp_path / "nights" / "*" / "review"),
            "corrections": str(tmp_path / "corrections"),
            "store": str(tmp_path / "store"),
            "train_flags": ["--epochs=4", "--copies=2", "--calibration-folds=0"],
        }
        conf = json.dumps(params)
        return airflow.run("dags", "test", "batchdigits_retrain", "--conf", conf)

    code, log = retrain("few")
    assert code != 0
    assert airflow.states("train") == ["success"]
    assert airflow.states("promote") == ["failed"]
    assert "AirflowFailException: exit 78: batchdigits bundles: error: " in log
    assert (store.versions("digits"), store.aliases("digits")) == ([1, 2], {"production": 1})

    store.set_alias("digits", "production", 2)
    code, log = retrain("many")
    assert code == 0, log
    assert (store.versions("digits"), store.aliases("digits")) == ([1, 2, 3], {"production": 3})
    _, measured = airflow.events("batchdigits_production")[-1]
    assert measured["bundle"] == "digits@3"
    assert measured["accuracy"] > 0.8


def test_the_dag_lists_what_predict_takes_from_a_folder(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """Hidden names, our own outputs, folders and other files are inputs for neither."""
    (airflow.folder / "day=1" / "hour=2").mkdir(parents=True)
    write_forms(airflow.folder / "day=1" / "hour=2" / "forms.parquet")
    (airflow.folder / "done").mkdir()
    write_forms(airflow.folder / "done" / "forms.parquet")
    skipped = (".a.csv", "_a.csv", "a.predictions.csv", "a.rejects.parquet", "a.txt")
    for name in (*skipped, "b.CSV", "c.csv.gz", "d.csv.zst", "e.parquet"):
        write_forms(airflow.folder / name)
    (airflow.folder / "f.csv").mkdir()
    listed = subprocess.run(
        [airflow.python, "-c", LIST_INPUTS, DAGS, airflow.folder],
        env={"AIRFLOW_HOME": str(airflow.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = expand_inputs([str(airflow.folder)]).inputs
    assert json.loads(listed.stdout.splitlines()[-1]) == [str(entry.path) for entry in found]


LIST_INPUTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from batchdigits_nightly import inputs_of
print(json.dumps(inputs_of(sys.argv[2])))
"""
