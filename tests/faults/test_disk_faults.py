"""Faults of disk and memory, entries 25, 35 and 36: all, or nothing and a code that says so.

`.ci/faults` runs the tests that need root or strace.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_data import csv_bytes, digit_rows
from fault_runs import (
    COMMAND,
    PUBLISHED,
    Job,
    Outcome,
    assert_heals,
    assert_promises,
    emptied,
    predict,
    predict_here,
    undisturbed,
)
from fault_strace import ERRORS, at_each_call
from paths import ROOT


def some_rows_bad(count: int) -> bytes:
    rows = digit_rows(count)
    for row in rows[3::37]:
        row[50] = "99"
    return csv_bytes(rows)


@pytest.fixture(params=["p.csv", "p.parquet"])
def job(tmp_path: Path, request: pytest.FixtureRequest) -> Job:
    (tmp_path / "in.csv").write_bytes(some_rows_bad(300))
    return Job(tmp_path / "in.csv", tmp_path / "out" / request.param).elsewhere(tmp_path / "out")


@pytest.mark.strace
@pytest.mark.parametrize("call", ERRORS)
def test_25_each_call_on_the_output_fails_in_turn(
    job: Job, after: Outcome, call: str, tmp_path: Path
) -> None:
    codes = []
    step = 3 if job.output.suffix == ".parquet" and call == "write" else 1
    action = f"error={ERRORS[call]}"
    for _, ran in at_each_call(job, call, action, tmp_path / "log", step=step):
        assert_promises(job, ran, {}, after)
        assert_heals(job, after)
        codes.append(ran.code)
        emptied(job)
    assert set(codes) <= {3, 73, 74}
    assert 74 in codes


@pytest.mark.strace
@pytest.mark.parametrize("call", ["sync", "rename"])
def test_25_each_call_fails_in_turn_over_an_old_output(
    job: Job, after: Outcome, call: str, tmp_path: Path
) -> None:
    old = Job(job.source, job.output, ("--keep", "id"))
    new = Job(job.source, job.output, ("--overwrite",))
    before = undisturbed(old, tmp_path / "old")
    predict_here(*old.arguments)
    for _, ran in at_each_call(new, call, f"error={ERRORS[call]}", tmp_path / "log"):
        assert_promises(new, ran, before, after)
        assert_heals(new, after)
        emptied(job)
        predict_here(*old.arguments)


@pytest.mark.strace
def test_25_a_failed_removal_does_no_harm(job: Job, after: Outcome, tmp_path: Path) -> None:
    """A file that can't be removed may stay, as after a kill; the next run tries again."""
    for _, ran in at_each_call(job, "unlink", "error=EIO", tmp_path / "log"):
        assert_promises(job, ran, {}, after, killed=True)
        assert_heals(job, after)
        emptied(job)


@pytest.fixture
def small_disk(job: Job) -> Iterator[Path]:
    """A file system of its own for the outputs."""
    folder = job.output.parent
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def resized(disk: Path, kilobytes: int) -> None:
    command = ["mount", "-o", f"remount,size={kilobytes}k", disk]
    subprocess.run(command, check=True)


@pytest.mark.root
def test_25_a_full_disk_commits_nothing(job: Job, small_disk: Path, after: Outcome) -> None:
    """The disk has room for one more page each time, until the job fits."""
    codes = []
    for kilobytes in range(4, 400, 4):
        resized(small_disk, kilobytes)
        ran = predict(*job.arguments)
        codes.append(ran.code)
        if ran.code in PUBLISHED:
            break
        assert ran.code == 74
        assert "No space left on device" in ran.error
        assert_promises(job, ran, {}, after)
        resized(small_disk, 1000)
        assert_heals(job, after)
        for path in small_disk.iterdir():
            path.unlink()
    assert codes[-1] == 3
    assert len(codes) > 2


@pytest.mark.root
def test_25_a_disk_without_inodes_commits_nothing(job: Job, after: Outcome) -> None:
    """Each run may create one file more than the one before."""
    folder = job.output.parent
    codes = []
    for inodes in range(2, 12):
        options = f"size=1m,nr_inodes={inodes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
        try:
            ran = predict(*job.arguments)
            codes.append(ran.code)
            assert_promises(job, ran, {}, after)
        finally:
            subprocess.run(["umount", folder], check=True)
    assert set(codes) in ({3, 74}, {3, 73, 74})
    assert codes[-1] == 3


def test_25_results_that_nobody_can_read_are_published_all_the_same(
    job: Job, after: Outcome
) -> None:
    """Standard output is on a full disk: the exit code says that something failed."""
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, *job.arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 74
    assert b"No space left on device" in done.stderr
    assert (job.outcome(), job.leftovers()) == (after, [])


@pytest.mark.parametrize("size", [0, 100, 1000, 2000, 4000, 8000, 16_000])
def test_35_a_limit_on_file_sizes_commits_all_or_nothing(
    job: Job, after: Outcome, size: int
) -> None:
    largest = max(len(content) for content in after.values() if isinstance(content, bytes))
    ran = predict(*job.arguments, before=["prlimit", f"--fsize={size}"])
    assert_promises(job, ran, {}, after)
    if size < largest:
        assert (ran.code, job.outcome()) == (74, {})
        assert "File too large" in ran.error
    assert_heals(job, after)


@pytest.mark.parametrize("megabytes", [150, 300, 400, 500, 700])
def test_35_too_little_memory_commits_all_or_nothing(tmp_path: Path, megabytes: int) -> None:
    """Without memory, libraries may end the process themselves, as a kill does."""
    (tmp_path / "in.csv").write_bytes(some_rows_bad(3000))
    job = Job(tmp_path / "in.csv", tmp_path / "out" / "p.csv").elsewhere(tmp_path / "out")
    after = undisturbed(job, tmp_path / "undisturbed")
    ran = predict(*job.arguments, before=["prlimit", f"--as={megabytes << 20}"])
    assert_promises(job, ran, {}, after, killed=True)
    assert ran.code != 0
    assert_heals(job, after)


def test_36_rejects_that_cannot_be_written_fail_the_whole_run(tmp_path: Path) -> None:
    """The predictions alone would fit under the limit."""
    rows = digit_rows(40)
    for row in rows[1:]:
        row[1], row[9] = "x" * 1000, "NaN"
    (tmp_path / "in.csv").write_bytes(csv_bytes(rows))
    job = Job(tmp_path / "in.csv", tmp_path / "out" / "p.csv").elsewhere(tmp_path / "out")
    after = undisturbed(job, tmp_path / "undisturbed")
    assert len(after["p.csv"]) < 20_000 < len(after["p.rejects.csv"])
    ran = predict(*job.arguments, before=["prlimit", "--fsize=20000"])
    assert_promises(job, ran, {}, {})
    assert ran.code == 74
    assert ".p.rejects.csv.tmp" in ran.error
    assert_heals(job, after)


def test_36_a_name_for_rejects_that_cannot_be_written_is_refused_at_once(job: Job) -> None:
    job.rejects.mkdir()
    ran = predict(*job.arguments, "--bundle", "gone.bundle")
    assert (ran.code, list(job.output.parent.iterdir())) == (73, [job.rejects])
    assert f"{job.rejects.name} is a folder" in ran.stderr
