"""Runs of predict that are disturbed, and the promises that hold whatever disturbs them.

A run is a process of its own. Where the fault is in the data and the process does not matter, it
is the command's `main` in this process: the same code in a tenth of the time.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from paths import ROOT

from batchdigits.predict import main

COMMAND = (sys.executable, "-m", "batchdigits.predict")
HANGS = 120
"""Seconds after which a run counts as hanging: a hundred times what it takes."""

TIMES = int(os.environ.get("FAULTS_TIMES", "1"))
"""How many times as often as usual each fault with chance in it is made; .ci/faults sets it."""

PUBLISHED = (0, 3)
CHANGING = ("started", "finished", "seconds")

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Ran:
    """A run that has ended. `peak_mb` is its most resident memory, 0 if it was not measured."""

    code: int
    stdout: str
    stderr: str
    peak_mb: float = 0

    @property
    def summary(self) -> dict[str, Any]:
        (line,) = self.stdout.splitlines()
        result: dict[str, Any] = json.loads(line)
        return result

    @property
    def status(self) -> str:
        """The status of the only input."""
        (entry,) = self.summary["inputs"]
        result: str = entry["status"]
        return result

    @property
    def error(self) -> str:
        """The one line on standard error."""
        (line,) = self.stderr.splitlines()
        return line


@dataclass(frozen=True)
class Job:
    """One input, the file for its predictions, and the flags."""

    source: Path
    output: Path
    flags: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        return [str(self.source), "--output", str(self.output), *self.flags]

    @property
    def rejects(self) -> Path:
        stem, suffix = self._split
        return self.output.with_name(f"{stem}.rejects{suffix}")

    @property
    def receipt(self) -> Path:
        return self.output.with_name(f"{self._split[0]}.receipt.json")

    @property
    def temporary(self) -> Path:
        return self.output.with_name(f".{self.output.name}.tmp")

    @property
    def commit(self) -> Path:
        return self.output.with_name(f".{self.receipt.name}.commit")

    @property
    def touched(self) -> list[Path]:
        """Every path that a run may open, write, rename or remove, and their folder."""
        hidden = [".{}.tmp", ".{}.lock", ".{}.commit", "..{}.commit.tmp"]
        finals = [self.output, self.rejects, self.receipt]
        names = [form.format(path.name) for form in ("{}", *hidden) for path in finals]
        return [self.output.parent, *(self.output.with_name(name) for name in names)]

    def outcome(self) -> Outcome:
        """The files under final names; the receipt without its times."""
        found: Outcome = {
            path.name: path.read_bytes()
            for path in self.output.parent.iterdir()
            if not path.name.startswith(".")
        }
        if self.receipt.name in found:
            receipt = json.loads(found[self.receipt.name])
            found[self.receipt.name] = {k: v for k, v in receipt.items() if k not in CHANGING}
        return found

    def leftovers(self) -> list[str]:
        """Names that only a killed run may leave."""
        return sorted(p.name for p in self.output.parent.iterdir() if p.name.startswith("."))

    def elsewhere(self, folder: Path) -> Job:
        """The same job with its outputs in another folder, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        return Job(self.source, folder / self.output.name, self.flags)

    @property
    def _split(self) -> tuple[str, str]:
        stem, dot, suffix = self.output.name.partition(".")
        return stem, dot + suffix


def start(
    *arguments: object, before: Sequence[str] = (), **options: Any
) -> subprocess.Popen[bytes]:
    """A predict process; `before` is a command that starts it (strace, prlimit, …)."""
    options = {"cwd": ROOT, "stdin": subprocess.DEVNULL, **options}
    command = [*before, *COMMAND, *map(os.fsdecode, map(_as_path, arguments))]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, **options
    )


def finish(
    process: subprocess.Popen[bytes], stdin: bytes | None = None, *, hangs: float = HANGS
) -> Ran:
    """Wait for the end of a process; one that hangs is an error."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=hangs)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(
        process.returncode,
        stdout.decode("utf-8", "surrogateescape"),
        stderr.decode("utf-8", "surrogateescape"),
    )


def predict(*arguments: object, before: Sequence[str] = (), **options: Any) -> Ran:
    """Run predict in a process of its own."""
    return finish(start(*arguments, before=before, **options))


def predict_here(*arguments: object) -> Ran:
    """Run predict's main in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = main([os.fsdecode(_as_path(argument)) for argument in arguments])
    return Ran(code, stdout.getvalue(), stderr.getvalue())


def measured(*arguments: object, before: Sequence[str] = ()) -> Ran:
    """Run predict in a process of its own and measure its memory."""
    command = [sys.executable, "-I", "-S", "-c", _MEASURE, *before, *COMMAND, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    ran = finish(process)
    *stdout, peak = ran.stdout.splitlines(keepends=True)
    return Ran(ran.code, "".join(stdout), ran.stderr, peak_mb=int(peak) / 1024)


# In a small process in between: a child's peak starts at that of the process it was forked from.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code if code >= 0 else 128 - code)
"""


def undisturbed(job: Job, folder: Path) -> Outcome:
    """Return the outcome of the job in a folder of its own when nothing disturbs it."""
    other = job.elsewhere(folder)
    ran = predict_here(*other.arguments)
    assert ran.code in PUBLISHED, ran.stderr
    assert other.leftovers() == []
    return other.outcome()


def assert_promises(
    job: Job, ran: Ran, before: Outcome, after: Outcome, *, killed: bool = False
) -> None:
    """Check the promises for every run, whatever disturbed it.

    `before` is the outcome of an earlier run, `after` that of an undisturbed run. Each final name
    is absent, old or new, and only the old receipt is removed before there is a new one. A run that
    reports success is committed. A receipt that exists is true. An error is one line. Only a run
    that was `killed` leaves temporaries; one that can't finish a commit that it has begun leaves
    its plan.
    """
    now = job.outcome()
    for name in before.keys() | after.keys() | now.keys():
        if name != job.receipt.name or name in now or not job.commit.exists():
            assert now.get(name) in (before.get(name), after.get(name)), name
    if ran.code in PUBLISHED:
        assert now == after
    if job.receipt.exists():
        assert_receipt_is_true(job)
    if not killed:
        assert len(ran.stderr.splitlines()) == (ran.code != 0), ran.stderr
        plan = [job.commit.name] if ran.code == 74 and job.commit.exists() else []
        assert job.leftovers() == plan


def assert_heals(job: Job, after: Outcome, run: Callable[..., Ran] = predict_here) -> Ran:
    """Check that the next, normal run leaves the outcome of an undisturbed one."""
    ran = run(*job.arguments)
    assert ran.code in PUBLISHED, ran.stderr
    assert job.outcome() == after
    assert job.leftovers() == []
    return ran


def assert_receipt_is_true(job: Job) -> None:
    """Check the receipt's digests, sizes and row counts against the files, and that they add up."""
    receipt = json.loads(job.receipt.read_bytes())
    counts = []
    for role, path in (("predictions", job.output), ("rejects", job.rejects)):
        entry = receipt["outputs"][role]
        assert path.exists() == (entry is not None)
        if entry is not None:
            content = path.read_bytes()
            assert entry["sha256"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
            assert entry["bytes"] == len(content)
        counts.append(count_rows(path) if entry else 0)
    assert [receipt["rows_predicted"], receipt["rows_rejected"]] == counts
    assert receipt["rows_in"] == sum(counts)
    assert sum(receipt["reasons"].values()) == counts[1]


def assert_ledger(job: Job, ran: Ran) -> None:
    """Check a faulty input: published with counts that add up, or refused in one line."""
    if ran.code in PUBLISHED:
        assert_receipt_is_true(job)
        receipt = json.loads(job.receipt.read_bytes())
        for count in ("rows_in", "rows_predicted", "rows_rejected", "reasons"):
            assert ran.summary[count] == receipt[count]
    else:
        # If no row could be scored, the rejects are kept: they say what is wrong.
        assert set(job.outcome()) <= {job.rejects.name}
        assert ran.error
    assert job.leftovers() == []


def emptied(job: Job) -> None:
    """Remove everything from the folder that the job writes to."""
    shutil.rmtree(job.output.parent)
    job.output.parent.mkdir()


def standing(job: Job) -> dict[Path, tuple[int, int, int]]:
    """Return the files in the output's folder, and when each was last written to."""
    found = {path: path.lstat() for path in job.output.parent.iterdir()}
    return {path: (at.st_ino, at.st_size, at.st_mtime_ns) for path, at in found.items()}


def count_rows(path: Path) -> int:
    """Count the rows of an output without our own code."""
    if path.suffix == ".parquet":
        rows: int = pq.ParquetFile(path).metadata.num_rows
        return rows
    return len(read_csv(path)) - 1


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a path exists, or the process has ended."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.0002)


def _as_path(argument: object) -> str | bytes:
    return argument if isinstance(argument, bytes) else str(argument)
