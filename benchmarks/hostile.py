"""Replay hostile inputs and files of ours: no crash, no hang, no memory without bound.

    python benchmarks/hostile.py [--only NAME …]

Each kind is made by a generator in `support/hostile_*.py` and run as a process of its own. It must
end within 20 s and 500 MB, never with 70, and never with a traceback. Exits with 1 if one does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import hostile_bundles, hostile_inputs
from support.measure import MEGABYTE, finish, make_parser, make_ready, show, table

Generator = Callable[[Path], list[str]]

# A line for each module of generators.
KINDS: tuple[Generator, ...] = (*hostile_inputs.KINDS, *hostile_bundles.KINDS)

MOST_SECONDS = 20
MOST_MB = 500
INTERNAL_ERROR = 70


@dataclass(frozen=True, slots=True)
class Replay:
    """The end of one command; `message` is the last line that it wrote to standard error."""

    name: str
    exit_code: int
    seconds: float
    peak_mb: float
    message: str
    traceback: bool

    @property
    def problems(self) -> list[str]:
        """The promises that the command broke."""
        checks = {
            f"took more than {MOST_SECONDS} s": self.seconds > MOST_SECONDS,
            f"held more than {MOST_MB} MB": self.peak_mb > MOST_MB,
            f"ended with {self.exit_code}": self.exit_code < 0 or self.exit_code == INTERNAL_ERROR,
            "printed a traceback": self.traceback,
        }
        return [problem for problem, broken in checks.items() if broken]


def replay(kind: Generator, most_seconds: float = MOST_SECONDS) -> Replay:
    """Make the files of a kind in a temporary folder, and run its command there."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as err:
        # In another process: a command's peak memory starts at that of its parent.
        words = _made(kind, Path(folder))
        command = [sys.executable, "-P", "-m", f"batchdigits.{words[0]}", *words[1:]]
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=err)
        status, peak = _waited(process, started + most_seconds)
        seconds = time.perf_counter() - started
        err.seek(0)
        text = err.read().decode(errors="replace")
    lines = text.splitlines() or [""]
    return Replay(kind.__name__, status, seconds, peak, lines[-1], "Traceback" in text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=1)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the kinds to replay")
    arguments = parser.parse_args(argv)
    before = make_ready()
    chosen = [k for k in KINDS if not arguments.only or k.__name__ in arguments.only]
    replays = []
    for kind in chosen:
        show(f"{kind.__name__}: {(kind.__doc__ or '').splitlines()[0]}")
        replays.append(replay(kind))
    lines = [
        [r.name, str(r.exit_code), f"{r.seconds:.1f}", f"{r.peak_mb:.0f}", "; ".join(r.problems)]
        for r in replays
    ]
    print(table(["kind", "exit code", "seconds", "peak MB", "broken promises"], lines) + "\n")
    broken = {r.name: r.problems for r in replays if r.problems}
    figures = {
        "kinds": len(replays),
        "highest_mb": round(max((r.peak_mb for r in replays), default=0), 1),
        "longest_seconds": round(max((r.seconds for r in replays), default=0), 1),
        "broken": broken,
    }
    finish("hostile", figures, save=arguments.save, load_before=before, timed=False)
    return 1 if broken else 0


def _made(kind: Generator, folder: Path) -> list[str]:
    """Run a generator in a forked process, and return its command."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sender, "\0".join(kind(folder)).encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as words:
        text = words.read()
    os.waitpid(child, 0)
    if not text:
        raise SystemExit(f"the generator {kind.__name__} failed")
    return text.split("\0")


def _waited(process: subprocess.Popen[bytes], deadline: float) -> tuple[int, float]:
    """Wait for a process, kill it at the deadline, and return its exit code and peak memory."""
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if time.perf_counter() > deadline:
            process.kill()
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * 1024 / MEGABYTE


if __name__ == "__main__":
    sys.exit(main())
