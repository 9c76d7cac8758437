"""A standalone cluster of Spark in processes of our own: started, broken on purpose, ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

PATIENCE = 60.0  # seconds
HOST = "127.0.0.1"
HOOKS = Path(__file__).parent / "spark_hooks"
"""A sitecustomize for the Python workers: it notes each engine that is opened, and does damage."""

_MASTER = re.compile(r"Starting Spark master at (spark://\S+:\d+)\s")


@dataclass
class Cluster:
    """A master and workers, each in a process group of its own.

    folder   holds their logs, their work and Spark's temporary files
    python   the Python of the executors
    """

    folder: Path
    python: str = sys.executable
    master: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address of the master, which chose its port itself."""
        found = _MASTER.search(self.log("master"))
        if found is None:
            raise RuntimeError("the master of Spark did not start")
        return found[1]

    @classmethod
    @contextmanager
    def started(
        cls, folder: Path, workers: int = 2, before: tuple[str, ...] = (), **environment: str
    ) -> Iterator[Self]:
        """Start a master and workers, and end all their processes afterwards.

        `before` is put in front of the workers' commands.
        """
        cluster = cls(folder)
        try:
            command = ["master.Master", "--host", HOST, "--port", "0"]
            cluster.master = cluster.start("master", [*command, "--webui-port", "0"], {})
            cluster.wait_for(lambda: _MASTER.search(cluster.log("master")) is not None)
            for _ in range(workers):
                cluster.add_worker(environment, before)
            cluster.wait_for(lambda: cluster.log("master").count("Registering worker") >= workers)
            yield cluster
        finally:
            cluster.end()

    def add_worker(
        self, environment: Mapping[str, str] | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a worker of one core; `before` is put in front of its command."""
        name = f"worker-{len(self.workers)}"
        # Spark starts a task again for speculation on another host only.
        host = f"127.0.0.{len(self.workers) + 2}"
        command = ["worker.Worker", "--host", host, "--cores", "1", "--memory", "1g"]
        command += ["--work-dir", str(self.folder / name), "--webui-port", "0", self.url]
        worker = self.start(name, command, {**(environment or {}), "SPARK_LOCAL_IP": host}, before)
        self.workers.append(worker)
        return worker

    def start(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        before: tuple[str, ...] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a daemon of Spark, whose log is named after it."""
        kind, *arguments = command
        full = [*before, spark_class(), f"org.apache.spark.deploy.{kind}", *arguments]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                full,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
                env={**os.environ, **self.environment, **environment},
            )

    @property
    def notes(self) -> Path:
        """A file with a line for each fault, and for each engine that a Python worker opened."""
        return self.folder / "notes"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(HOOKS),
            "NOTES": str(self.notes),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_LOCAL_DIRS": str(self.folder),
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": self.python,
        }

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(self.log("master"))
            time.sleep(0.1)

    def executors(self) -> list[Any]:
        """The processes of the executors, oldest first."""
        import psutil

        found = [
            child
            for worker in self.workers
            for child in children(worker.pid)
            if "CoarseGrainedExecutorBackend" in _command_line(child)
        ]
        return sorted(found, key=psutil.Process.create_time)

    def end(self) -> None:
        """End every process that this cluster started, and those that they started."""
        started = [p for p in (self.master, *self.workers) if p is not None]
        all_of_them = [child for p in started for child in children(p.pid)]
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for child in all_of_them:
            with suppress(Exception):
                child.kill()


def children(pid: int) -> list[Any]:
    """The processes that a process started, and those that they started."""
    import psutil

    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _command_line(process: Any) -> str:
    import psutil

    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def spark_class() -> str:
    """The script of pip's pyspark that starts Java."""
    import pyspark

    return str(Path(pyspark.__file__).parent / "bin" / "spark-class")


def make_session(cluster: Cluster, **settings: str) -> Any:
    """A classic session on the cluster, with Spark's own settings by name (`_` for `.`)."""
    from pyspark.sql import SparkSession

    os.environ.update(cluster.environment)
    builder = (
        SparkSession.builder.master(cluster.url)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", HOST)
        .config("spark.driver.bindAddress", HOST)
        .config("spark.executor.memory", "600m")
        .config("spark.sql.shuffle.partitions", "2")
    )
    for name, value in settings.items():
        builder = builder.config(f"spark.{name.replace('_', '.')}", value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session
