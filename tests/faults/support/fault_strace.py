"""strace makes one system call on the output's paths fail, or kills the run at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from fault_runs import Job, Ran, predict

# Each call by the names that it has on different machines.
CALLS = {
    "open": "openat",
    "write": "write,pwrite64,writev",
    "sync": "fsync,fdatasync",
    "close": "close",
    "rename": "rename,renameat,renameat2",
    "link": "link,linkat",
    "unlink": "unlink,unlinkat",
}
ERRORS = {
    "open": "EIO",
    "write": "ENOSPC",
    "sync": "EIO",
    "close": "EIO",
    "rename": "EIO",
    "link": "EIO",
}
MOST = 200
"""More calls of a kind than any small job makes: a loop that gets here has lost its way."""


def at_each_call(
    job: Job, call: str, action: str, log: Path, *, step: int = 1
) -> Iterator[tuple[int, Ran]]:
    """Run the job with `action` (error=…, signal=…) at the first such call, then the second, ….

    `step` 3 disturbs every third call only. It ends after the first run that made fewer calls, and
    so was not disturbed. strace counts the calls of each thread; ours all come from one thread.
    """
    for nth in count(1, step):
        assert nth < MOST
        ran = predict(*job.arguments, before=_strace(job, call, f"{action}:when={nth}", log))
        if not {"(INJECTED)", "SIGKILL", "SIGTERM"} & set(log.read_text().split()):
            assert nth > 1, f"no {call} was seen"
            return
        yield nth, ran


def slowed(call: str, paths: Sequence[Path], log: Path) -> list[str]:
    """The command that starts a run and delays each such call on the paths by 20 ms."""
    names = CALLS[call]
    watched = [argument for path in paths for argument in ("-P", str(path))]
    inject = f"inject={names}:delay_enter=20000"
    return ["strace", "-f", "-qq", "-o", str(log), *watched, "-e", f"trace={names}", "-e", inject]


def _strace(job: Job, call: str, injected: str, log: Path) -> list[str]:
    names = CALLS[call]
    paths = [argument for path in job.touched for argument in ("-P", str(path))]
    options = ["-f", "-qq", "-o", str(log)]
    if injected.startswith("error"):  # quicker, but strace 6.1 then injects no signals
        options.append("--seccomp-bpf")
    return ["strace", *options, *paths, "-e", f"trace={names}", "-e", f"inject={names}:{injected}"]
