"""Faults of processes, entries 26 to 28 and 37: kills, signals, races, stable exit codes."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_codes import ENDINGS, prepare
from fault_data import csv_bytes, digit_rows
from fault_kills import AIMS, kill_and_heal
from fault_runs import (
    HANGS,
    PUBLISHED,
    TIMES,
    Job,
    Outcome,
    assert_heals,
    assert_promises,
    emptied,
    finish,
    predict,
    predict_here,
    standing,
    start,
    undisturbed,
    wait_for,
)
from fault_strace import at_each_call, slowed
from paths import ROOT, SAMPLE_DATA

PREDICTIONS = "x.predictions.csv"
"""What a run on x.csv writes into a folder."""


@pytest.fixture
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Job:
    """Enough rows for several blocks, some of them bad; a parameter is the suffix of the output."""
    output = f"p{getattr(request, 'param', '.csv')}"
    rows = digit_rows(12_000)
    for row in rows[3::370]:
        row[50] = "99"
    (tmp_path / "in.csv").write_bytes(csv_bytes(rows))
    return Job(tmp_path / "in.csv", tmp_path / "out" / output).elsewhere(tmp_path / "out")


def put(outcome: Path, job: Job) -> None:
    """Replace everything in the output folder by the outputs of an earlier run."""
    shutil.rmtree(job.output.parent)
    shutil.copytree(outcome, job.output.parent)


@pytest.mark.parametrize("job", [".csv", ".parquet"], indirect=True)
@pytest.mark.parametrize("aim", AIMS)
def test_26_what_a_kill_leaves_misleads_nobody_and_the_next_run_mends_it(
    job: Job, after: Outcome, aim: str
) -> None:
    chance = random.Random(aim)  # noqa: S311  # seeded, so that it can be done again
    for _ in range(TIMES):
        kill_and_heal(job, {}, after, aim, chance)
        emptied(job)


def test_26_a_kill_over_an_old_output_leaves_old_or_new(
    job: Job, after: Outcome, tmp_path: Path
) -> None:
    old = Job(job.source, job.output, ("--keep", "id"))
    new = Job(job.source, job.output, ("--overwrite",))
    before = undisturbed(old, tmp_path / "old")
    chance = random.Random(26)  # noqa: S311
    for aim in AIMS[1:] * TIMES:
        put(tmp_path / "old", job)
        kill_and_heal(new, before, after, aim, chance)


@pytest.mark.strace
@pytest.mark.parametrize("call", ["open", "write", "sync", "close", "link", "unlink"])
def test_26_a_kill_at_each_call_on_the_output(
    job: Job, after: Outcome, call: str, tmp_path: Path
) -> None:
    kills = 0
    for _, ran in at_each_call(job, call, "signal=KILL", tmp_path / "log"):
        assert ran.code == -signal.SIGKILL
        assert_promises(job, ran, {}, after, killed=True)
        assert_heals(job, after)
        emptied(job)
        kills += 1
    assert kills > 1


@pytest.mark.strace
@pytest.mark.parametrize("call", ["sync", "rename", "unlink"])
def test_26_a_kill_at_each_call_over_an_old_output(
    job: Job, after: Outcome, call: str, tmp_path: Path
) -> None:
    old = Job(job.source, job.output, ("--keep", "id"))
    new = Job(job.source, job.output, ("--overwrite",))
    before = undisturbed(old, tmp_path / "old")
    put(tmp_path / "old", job)
    for _, ran in at_each_call(new, call, "signal=KILL", tmp_path / "log"):
        assert_promises(new, ran, before, after, killed=True)
        assert_heals(new, after)
        put(tmp_path / "old", job)


def test_26_a_killed_run_over_a_folder_is_resumed_where_it_was(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(5 * TIMES):
        shutil.copy(job.source, folder / f"{i:03}.csv")
    expected = tmp_path / "expected"
    assert predict_here(folder, "--output", expected).code == 3
    out = tmp_path / "out"
    process = start(folder, "--output", out)
    wait_for(out / f"{3 * TIMES - 1:03}.receipt.json", process)
    process.kill()
    finish(process)
    done = sorted(int(path.name[:3]) for path in out.glob("*.receipt.json"))
    assert len(done) >= 3 * TIMES
    assert done == list(range(len(done)))
    again = predict_here(folder, "--output", out)
    statuses = [entry["status"] for entry in again.summary["inputs"]]
    assert statuses == ["unchanged"] * len(done) + ["scored"] * (5 * TIMES - len(done))
    for path in expected.glob("*.csv"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert not list(out.glob(".*"))


STOPPING = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", STOPPING)
def test_27_a_signal_at_any_time_leaves_no_temporaries(
    job: Job, after: Outcome, number: signal.Signals
) -> None:
    """From the lock on: before it, an import may handle the signal, and no file exists yet."""
    chance = random.Random(number)  # noqa: S311
    for _ in range(3 * TIMES):
        process = start(*job.arguments)
        wait_for(job.receipt.with_name(f".{job.receipt.name}.lock"), process)
        time.sleep(chance.uniform(0, 0.15))
        process.send_signal(number)
        ran = finish(process)
        # If the run has ended already, the interpreter that closes down handles the signal.
        assert ran.code in (STOPPING[number], *PUBLISHED, -number)
        assert job.leftovers() == []
        if ran.code == STOPPING[number]:
            assert "interrupted" in ran.stderr.splitlines()[-1]
            assert job.outcome() in ({}, after)
        else:
            assert job.outcome() == after
        assert_heals(job, after)
        emptied(job)


@pytest.mark.strace
@pytest.mark.parametrize("call", ["open", "write", "sync", "link"])
def test_27_a_signal_at_each_call_on_the_output(
    job: Job, after: Outcome, call: str, tmp_path: Path
) -> None:
    for _, ran in at_each_call(job, call, "signal=TERM", tmp_path / "log"):
        assert ran.code == 143
        assert "interrupted" in ran.stderr.splitlines()[-1]
        assert (job.leftovers(), job.outcome() in ({}, after)) == ([], True)
        assert_heals(job, after)
        emptied(job)


def test_28_of_two_runs_on_one_output_one_is_told_to_try_again(job: Job, after: Outcome) -> None:
    """The first waits for more of its input, and holds the lock until it is killed."""
    holder = start("-", "--output", job.output, stdin=-1)
    assert holder.stdin is not None
    holder.stdin.write(csv_bytes(digit_rows(10)))
    lock = job.output.with_name(f".{job.receipt.name}.lock")
    wait_for(lock, holder)
    while not lock.stat().st_size and holder.poll() is None:  # its number is still to be written
        time.sleep(0.001)
    held = standing(job)
    second = predict(*job.arguments)
    assert second.code == 75
    assert f"another run (process {holder.pid}) is writing it" in second.error
    assert standing(job) == held
    holder.kill()
    finish(holder)
    assert_heals(job, after)


def test_28_racing_runs_publish_once(job: Job, after: Outcome) -> None:
    for _ in range(2 * TIMES):
        processes = [start(*job.arguments) for _ in range(3)]
        ran = [finish(process) for process in processes]
        assert {r.code for r in ran} <= {3, 75}
        statuses = sorted(r.status for r in ran if r.code == 3)
        assert statuses.count("scored") == 1
        assert (job.outcome(), job.leftovers()) == (after, [])
        emptied(job)


@pytest.mark.strace
@pytest.mark.parametrize("call", ["open", "sync", "link", "unlink"])
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["new", "over old"])
def test_28_two_ways_to_one_name_never_lose_a_run_in_silence(
    tmp_path: Path, call: str, overwrite: tuple[str, ...]
) -> None:
    """`x.csv --output out/` and `a.csv --output out/x.predictions.csv`, slowed down at a call."""
    for name, count in (("x", 40), ("a", 70)):
        (tmp_path / f"{name}.csv").write_bytes(csv_bytes(digit_rows(count)))
    out = tmp_path / "out"
    jobs = {40: (tmp_path / "x.csv", f"{out}/"), 70: (tmp_path / "a.csv", out / PREDICTIONS)}
    for _ in range(TIMES):
        out.mkdir()
        slow = slowed(call, Job(tmp_path / "x.csv", out / PREDICTIONS).touched, tmp_path / "log")
        started = {
            rows: start(source, "--output", output, *overwrite, before=slow)
            for rows, (source, output) in jobs.items()
        }
        codes = {rows: finish(process).code for rows, process in started.items()}
        published = (out / PREDICTIONS).read_bytes().count(b"\n") - 1
        assert codes[published] == 0
        lost = {rows: code for rows, code in codes.items() if rows != published}
        assert set(lost.values()) <= ({75, 73} if not overwrite else {75, 0})
        if 0 in lost.values():  # one after the other, and the later was told to replace
            receipt = json.loads((out / "x.receipt.json").read_text())
            assert receipt["rows_in"] == published
        assert (
            predict(
                "--check", *map(str, jobs[published][:1]), "--output", str(jobs[published][1])
            ).status
            == "unchanged"
        )
        shutil.rmtree(out)


@pytest.mark.root
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_35_a_limit_on_processes_is_for_another_time_or_no_matter(
    open_folder: Path, processes: int, suffix: str
) -> None:
    """As a container sets it. No library crashes, hangs, or blames the bundle."""
    shutil.copy(SAMPLE_DATA / f"digits{suffix}", open_folder)
    limits = few_processes(processes)
    out = open_folder / f"out{suffix}"
    arguments = (open_folder / f"digits{suffix}", "--output", out)
    many = predict(*arguments, "--workers", "4", before=limits)
    assert (many.code == 75) == ("no thread or process could be started" in many.stderr)
    assert many.code in (0, 75)
    one = predict(*arguments, "--workers", "1", before=limits)
    assert one.code == 0, one.stderr
    command = [*limits, sys.executable, "-m", "batchdigits.receipts", "verify"]
    receipt = str(out.with_name("out.receipt.json"))
    verified = subprocess.run(
        [*command, receipt], cwd=ROOT, capture_output=True, check=False, timeout=HANGS
    )
    assert verified.returncode in (0, 75), verified.stderr


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write; pytest's own are in one of root alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def few_processes(limit: int) -> list[str]:
    """The command that starts a run as a user who may have so many processes and threads.

    The limit is not for root. The user reads what root may read: Python may be in its home.
    """
    may_read = "+dac_override,+dac_read_search"
    user = ["--reuid=54321", "--clear-groups", f"--inh-caps={may_read}"]
    return ["setpriv", *user, f"--ambient-caps={may_read}", "prlimit", f"--nproc={limit}"]


@pytest.mark.parametrize(("arguments", "code"), ENDINGS)
def test_37_exit_codes_are_stable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int
) -> None:
    prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert {predict_here(*arguments).code for _ in range(10 * TIMES)} == {code}
