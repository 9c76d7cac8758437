"""Entry 33: an input that changes while it is read is never taken for its old or its new state."""

from __future__ import annotations

import gzip
import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_data import csv_bytes, digit_rows, digit_table
from fault_runs import Job, Ran, finish, predict_here, start, wait_for

ROWS = 160_000  # time enough to stop a run that reads them
"""Rows that take a run some tenths of a second: it is stopped long before their end."""


@cache
def content(suffix: str) -> bytes:
    """Digits as a file with that suffix."""
    if suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(digit_table(ROWS), sink, row_group_size=4000)
        data: bytes = sink.getvalue().to_pybytes()
        return data
    plain = csv_bytes(digit_rows(ROWS))
    return gzip.compress(plain, 1) if suffix == ".csv.gz" else plain


def job_of(suffix: str, folder: Path) -> Job:
    source = folder / f"in{suffix}"
    source.write_bytes(content(suffix))
    return Job(source, folder / "out" / f"p{suffix}").elsewhere(folder / "out")


def while_read(job: Job, change: Callable[[Path], None]) -> Ran:
    """Start the job, pause it once it reads its input, change the input, and let it go on."""
    process = start(*job.arguments)
    wait_for(job.temporary, process)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert process.poll() is None
    assert job.temporary.exists()
    assert not job.commit.exists()
    change(job.source)
    process.send_signal(signal.SIGCONT)
    return finish(process)


def replaced(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def appended_to(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"a line more\n")


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def written_over(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"7" * (size // 4))


def removed(path: Path) -> None:
    path.unlink()


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES = {
    ".csv": (replaced, appended_to, cut_off, emptied, written_over, removed, made_a_folder),
    ".csv.gz": (appended_to, cut_off, written_over),
    ".parquet": (replaced, cut_off, written_over, removed),
}


@pytest.mark.parametrize(
    ("suffix", "change"),
    [(suffix, change) for suffix, changes in CHANGES.items() for change in changes],
    ids=lambda case: case if isinstance(case, str) else case.__name__,
)
def test_33_an_input_that_changes_while_it_is_read_commits_nothing(
    tmp_path: Path, suffix: str, change: Callable[[Path], None]
) -> None:
    """Whatever the reader saw, the code means try again, because the file may still be written."""
    job = job_of(suffix, tmp_path)
    ran = while_read(job, change)
    assert (job.outcome(), job.leftovers()) == ({}, [])
    assert ran.code == 75, ran.stderr
    assert f"{job.source}: was " in ran.error
    assert "while it was read; run again when it is complete" in ran.error
    if job.source.is_dir():
        job.source.rmdir()
    job.source.write_bytes(content(suffix))
    assert predict_here(*job.arguments).code == 0


def test_33_a_change_behind_the_end_of_the_run_is_a_new_input(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_bytes(csv_bytes(digit_rows(40)))
    job = Job(source, tmp_path / "out" / "p.csv").elsewhere(tmp_path / "out")
    assert predict_here(*job.arguments).code == 0
    source.write_bytes(csv_bytes(digit_rows(41)))
    again = predict_here(*job.arguments)
    assert again.code == 73
    assert "other content" in again.error
