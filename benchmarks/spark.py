"""Spark on a real cluster on this machine: what breaks while rows are scored, and what it costs.

    python benchmarks/spark.py --rows 10000000 --runs 10   # faults
    python benchmarks/spark.py --rows 4000000 --speed      # rows/s a core, against predict

Needs the extra spark, psutil and a Java. Each run of faults scores the rows in 40 partitions on two
workers of one core, while an executor is killed at half, three partitions fail once, and one
straggles with speculation on. It must lose nothing, double nothing, and leave no stray file.

Speed is that of `write` as a whole, from Parquet to a published folder, on two workers of one core
in a session that is warm, with the settings that docs/spark.md recommends. In turn with it come
predict with one worker on the same files, and Spark alone: the same files through a `mapInArrow`
that scores nothing and gives the other columns back, written as Parquet. No function in Python can
be faster than that. It also prints the CPU time of all processes, with that of Java's compiler and
garbage collection.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import batches
from support.spark_cluster import Cluster, children, make_session

FILES = 40
EVERY = 1_009
"""One row in each 1,009 can't be scored."""

STRAGGLES = 900
"""Seconds that the first attempt of a partition sleeps; another attempt must overtake it."""

FAULTS = f"3,17,29;11;{STRAGGLES}"
"""The partitions whose first attempt fails, and the one whose first attempt sleeps."""

FAST = {
    "sql_execution_arrow_maxRecordsPerBatch": "32768",
    "sql_execution_arrow_maxBytesPerBatch": str(2**31 - 1),
}
"""The settings that docs/spark.md recommends for speed."""

WARM_UP = 2
"""Turns that are not counted: Java compiles what runs often, for ten seconds and more."""

NOTED = {"3 fails", "17 fails", "29 fails", "11 sleeps"}
"""What the Python workers note about them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 if a run lost, doubled or left anything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="measure rows/s a core instead")
    arguments = parser.parse_args(argv)
    scratch = Path(tempfile.mkdtemp(prefix="batchdigits-spark-"))
    try:
        if arguments.speed:
            return measure_speed(scratch, arguments.rows, arguments.runs)
        return break_things(scratch, arguments.rows, arguments.runs)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_files(folder: Path, rows: int, *, lists: bool = False) -> Path:
    """Write the rows as 40 files with an id from 0; some rows can't be scored."""
    folder.mkdir()
    ends = [rows * (i + 1) // FILES for i in range(FILES)]
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        stream = batches(end - start, seed=number, lists=lists)
        table = pa.Table.from_batches(stream)
        ids = np.arange(start, end)
        table = table.set_column(0, "id", pa.array(ids))
        if not lists:
            first = table["pixel_0"].to_numpy().copy()
            first[ids % EVERY == 0] = 99
            place = table.schema.get_field_index("pixel_0")
            table = table.set_column(place, "pixel_0", pa.array(first))
        pq.write_table(table, folder / f"{number:02}.parquet")
    return folder


def session_on(cluster: Cluster, **settings: str) -> Any:
    """A session that reads each file as a partition of its own."""
    one_file = {"sql_files_maxPartitionBytes": "64m", "sql_files_openCostInBytes": "64m"}
    return make_session(cluster, **one_file, **settings)


def break_things(scratch: Path, rows: int, runs: int) -> int:
    """Run the faults, and print a line for each run."""
    source = write_files(scratch / "in", rows)
    good = 0
    os.environ["FAIL_TASKS"] = FAULTS
    for run in range(1, runs + 1):
        folder = scratch / f"run-{run}"
        folder.mkdir()
        with Cluster.started(folder) as cluster:
            problems, told = _broken_run(cluster, source, folder / "out", rows)
        good += not problems
        print(f"run {run}: {told}: {'; '.join(problems) or 'nothing lost, doubled or left'}")
        shutil.rmtree(folder)
    print(f"{good} of {runs} runs of {rows:,} rows lost, doubled and left nothing")
    return 0 if good == runs else 1


def _broken_run(cluster: Cluster, source: Path, out: Path, rows: int) -> tuple[list[str], str]:
    from batchdigits import spark

    out.mkdir()
    session = session_on(
        cluster,
        speculation="true",
        speculation_interval="500ms",
        speculation_quantile="0.5",
        speculation_multiplier="2",
        speculation_minTaskRuntime="2s",
    )
    started = time.monotonic()
    try:
        df = session.read.parquet(f"file://{source}")
        partitions = df.rdd.getNumPartitions()
        with _killing_at_half(cluster, out) as killed:
            receipt = spark.write(spark.score(df), out / "scored", max_rejects="1%")
    finally:
        session.stop()
    seconds = time.monotonic() - started
    problems = [*receipt.problems(), *_lost(out / "scored", rows), *_strays(out, receipt)]
    if partitions != FILES:
        problems.append(f"{partitions} partitions instead of {FILES}")
    if not killed:
        problems.append("no executor was killed")
    if seconds > STRAGGLES:
        problems.append("nothing overtook the straggler")
    notes = cluster.notes.read_text().splitlines()
    problems += [f"no fault: {fault}" for fault in sorted(NOTED - set(notes))]
    engines = sum(note.isdigit() for note in notes)
    counts = receipt.counts
    return problems, (
        f"{counts.rows_in:,} rows in, {counts.rows_predicted:,} predicted, "
        f"{counts.rows_rejected:,} rejected, {engines} engines opened, {seconds:.0f} s"
    )


@contextmanager
def _killing_at_half(cluster: Cluster, out: Path) -> Iterator[list[int]]:
    """Kill the older executor when half of the tasks have committed; yields its pid in a list."""
    killed: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            if len(list(out.glob(".scored.part/_temporary/0/task_*"))) >= FILES // 2:
                executor = cluster.executors()[0]
                executor.kill()
                killed.append(executor.pid)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def _lost(folder: Path, rows: int) -> list[str]:
    """What the ids of a published folder say: every id once, and rejects where they must be."""
    table = pq.read_table(folder, columns=["id", "prediction"])
    ids = np.sort(table["id"].to_numpy())
    problems = [] if np.array_equal(ids, np.arange(rows)) else ["ids are lost or doubled"]
    rejected = np.sort(table["id"].to_numpy()[table["prediction"].is_null().to_numpy()])
    if not np.array_equal(rejected, np.arange(0, rows, EVERY)):
        problems.append("other rows were rejected")
    return problems


def _strays(out: Path, receipt: Any) -> list[str]:
    named = {file.path.name for file in receipt.files}
    own = {"_SUCCESS", receipt.path.name, *named}
    allowed = own | {f".{name}.crc" for name in own}
    found = {path.name for path in out.rglob("*")} - {"scored"} - allowed
    return [f"stray files: {', '.join(sorted(found))}"] if found else []


def measure_speed(scratch: Path, rows: int, runs: int) -> int:
    """Print rows/s a core of rows mode, of Spark alone and of predict, in turn, and the ratios."""
    for lists, name in ((False, "64 columns"), (True, "one list column")):
        source = write_files(scratch / f"in-{lists}", rows, lists=lists)
        folder = scratch / f"speed-{lists}"
        folder.mkdir()
        with Cluster.started(folder) as cluster:
            session = session_on(cluster, **FAST)
            try:
                turns = [_turn(session, source, scratch) for _ in range(WARM_UP + runs)][WARM_UP:]
            finally:
                session.stop()
        for mine, alone, theirs in turns:
            rates = [rows / seconds for seconds in (2 * mine.wall, 2 * alone.wall, theirs.wall)]
            ours = f"{rates[0]:,.0f} rows/s a core"
            cpu = " / ".join(f"{1e9 * one.cpu / rows:,.0f}" for one in (mine, alone, theirs))
            print(
                f"{name}: {ours}, Spark alone {rates[1]:,.0f}, predict {rates[2]:,.0f}: "
                f"{rates[0] / rates[2]:.2f} of predict, {rates[0] / rates[1]:.2f} of Spark alone; "
                f"CPU {cpu} ns a row"
            )
    return 0


@dataclass(frozen=True)
class Seconds:
    """What a job took: wall time, and CPU time of this process and all that it started."""

    wall: float
    cpu: float


def _turn(session: Any, source: Path, scratch: Path) -> tuple[Seconds, Seconds, Seconds]:
    """Rows mode and Spark alone on two cores, and predict with one worker."""
    import batchdigits
    from batchdigits import spark

    def read() -> Any:
        return session.read.parquet(f"file://{source}")

    def mine() -> None:
        scored = spark.score(read())
        spark.write(scored, scratch / "scored", max_rejects="1%", overwrite=True)

    def alone() -> None:
        df = read()
        pixels = [name for name in df.columns if name.startswith("pixel")]
        packed = pixels[0] if len(pixels) == 1 else f"array({','.join(pixels)})"
        others = df.drop(*pixels)
        rows = df.selectExpr(f"{packed} as p", *others.columns)
        passed = rows.mapInArrow(_others_alone, others.schema)
        passed.write.mode("overwrite").parquet(f"file://{scratch}/passed")

    def theirs() -> None:
        output = f"{scratch}/predicted/"
        batchdigits.score(source, output=output, max_rejects="1%", workers=1, overwrite=True)
        shutil.rmtree(output)

    return _timed(mine), _timed(alone), _timed(theirs)


def _others_alone(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Every column but the first, in a worker whose garbage collection is as cheap as ours."""
    import gc

    for batch in batches:
        yield batch.select(batch.schema.names[1:])
    if not gc.get_freeze_count():
        gc.freeze()


def _timed(work: Callable[[], None]) -> Seconds:
    cpu, started = _cpu_seconds(), time.perf_counter()
    work()
    return Seconds(time.perf_counter() - started, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    """CPU time of this process and of all that it started and that still run."""
    import psutil

    times = [process.cpu_times() for process in (psutil.Process(), *children(os.getpid()))]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    sys.exit(main())
