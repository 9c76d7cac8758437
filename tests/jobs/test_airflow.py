"""The DAG of jobs/airflow, run by a real Airflow whose environment has no batchdigits.

The tests are left out unless AIRFLOW_PYTHON names the Python of Airflow's environment, which
.ci/airflow makes.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from paths import ROOT

from batchdigits.files.inputs import expand_inputs

pytestmark = pytest.mark.airflow

DAGS = ROOT / "jobs" / "airflow"
DAG = "batchdigits_nightly"
PATIENCE = 300.0  # seconds

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
        self, *command: str, environment: Mapping[str, str], log: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start an airflow command without this process' environment."""
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
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Run an airflow command; return its exit code and all its output."""
        process = self.start(*command, environment={})
        log, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, log

    def dags_test(self, **conf: str) -> tuple[str, ...]:
        """Return the command that runs the DAG once."""
        params = {
            "folder": str(self.folder),
            "output": str(self.output),
            "store": str(self.store),
            **conf,
        }
        return "dags", "test", DAG, "--conf", json.dumps(params)

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

    def states(self) -> list[str | None]:
        """The state of each mapped task of the last run, by the name of its file."""
        query = (
            "select state from task_instance where task_id = 'score' and map_index >= 0 and "
            "run_id = (select run_id from dag_run order by id desc limit 1) order by map_index"
        )
        with closing(sqlite3.connect(self.home / "airflow.db", timeout=60)) as database:
            return [state for (state,) in database.execute(query)]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Airflow's Python, and a home with a fresh database."""
    python, home = Path(os.environ["AIRFLOW_PYTHON"]), tmp_path_factory.mktemp("airflow")
    airflow = Airflow(python, home, home, home, home)
    code, log = airflow.run("db", "migrate")
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


def test_airflow_imports_the_dag_without_errors(airflow: Airflow) -> None:
    """The DAG file needs only what a plain Airflow has."""
    code, log = airflow.run("dags", "list-import-errors", "--local")
    assert code == 0, log
    assert "No data found" in log


def test_every_file_is_published_and_a_bad_one_fails_alone(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """Good files succeed, a later bad one fails with one line, and nothing is done twice."""
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

    broken = airflow.folder / "z.parquet"
    broken.write_bytes((airflow.folder / "a.parquet").read_bytes()[:3000])
    code, log = airflow.run(*airflow.dags_test())
    assert code != 0
    assert airflow.states() == ["success", "success", "failed"]
    line = f"batchdigits.predict: error: {broken}: can't be read as Parquet"
    assert f"AirflowFailException: exit 65: {line}" in log
    assert log.count("unchanged: {") == 2
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
    assert (
        f"AirflowFailException: {forms}: published, but 2 of 20 rows were rejected and 5% are "
        f"allowed; see {rejects}"
    ) in log
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
    told = f"{forms}: published, but its drift (classes) is 0."
    assert told in log
    code, log = airflow.run(*airflow.dags_test(on_drift="fail"))
    assert code != 0
    assert airflow.states() == ["failed"]
    assert f"AirflowFailException: {told}" in log
    assert (airflow.output / "forms.predictions.parquet").exists()


def test_drift_fails_beside_rejects_that_are_but_a_warning(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """predict's exit code names only the first of two limits; both count."""
    write_forms(airflow.folder / "forms.parquet", rows=600, out_of_range=2)
    code, log = airflow.run(*airflow.dags_test(on_rejects="warn", on_drift="fail"))
    assert code != 0
    assert "2 of 600 rows were rejected" in log
    assert "AirflowFailException" in log
    assert "published, but its drift" in log


def test_a_busy_output_is_tried_again(
    airflow: Airflow, predict_stopped_midway: PredictStoppedMidway, tmp_path: Path
) -> None:
    """A fault that passes by itself makes the task wait for its next try."""
    log = tmp_path / "log"
    forms = airflow.folder / "forms.parquet"
    with predict_stopped_midway(forms, airflow.output), airflow.running(log):
        wait_for(lambda: airflow.states() == ["up_for_retry"], log)
    assert "AirflowException: exit 75: batchdigits.predict: error: " in log.read_text()


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
    assert "AirflowException: exit 143: batchdigits.predict: error: interrupted" in log.read_text()
    assert list(airflow.output.iterdir()) == []


def test_the_dag_lists_what_predict_takes_from_a_folder(
    airflow: Airflow, write_forms: WriteForms
) -> None:
    """Hidden names, our own outputs, folders and other files are inputs for neither."""
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
