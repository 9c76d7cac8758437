"""strace watches predict for each bundle: processes, connections and files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from fault_runs import HANGS
from paths import ROOT

PROCESSES = ("execve", "execveat", "fork", "vfork", "clone", "clone3")
FILES = ("open", "openat", "openat2", "creat")
NETWORK = ("socket", "connect")

_MARK = "/watched/"
_SCRIPT = """
import sys
from contextlib import suppress
from batchdigits import predict
engine, source, mark, *bundles = sys.argv[1:]
for bundle in bundles:
    with suppress(OSError):
        open(mark + bundle)
    code = predict.main([source, "--bundle", bundle, "--engine", engine, "--overwrite"])
    print("code", code)
with suppress(OSError):
    open(mark)
"""
_CALL = re.compile(r"(?:\d+ +)?(?:<\.\.\. )?(\w+)")
_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass
class Seen:
    """The record of a run: its exit code, the files it opened, what it started or called."""

    code: int = -1
    opened: set[str] = field(default_factory=set)
    started: list[str] = field(default_factory=list)


def watch(engine: str, source: Path, bundles: Iterable[Path], before: str = "") -> dict[str, Seen]:
    """Score `source` through each bundle in turn in one process; return the records by file name.

    The first run imports the frameworks, so compare with the second. `before` is Python code that
    the process begins with.
    """
    names = [path.name for path in bundles]
    log = source.with_name("strace.log")
    calls = ",".join((*PROCESSES, *FILES, *NETWORK))
    done = subprocess.run(
        ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "4096", "-o", log, "-e", f"trace={calls}"]
        + [sys.executable, "-c", f"{before}\n{_SCRIPT}", engine, source.name, _MARK, *names],
        cwd=source.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=HANGS * 3,
    )
    codes = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("code ")]
    seen = {name: Seen(int(code)) for name, code in zip(names, codes, strict=True)}
    now = Seen()
    for line in log.read_text(errors="replace").splitlines():
        path = _PATH.search(line)
        if path and path[1].startswith(_MARK):
            now = seen.get(path[1].removeprefix(_MARK), Seen())
        else:
            _note(line, path[1] if path else "", now)
    return seen


def _note(line: str, path: str, seen: Seen) -> None:
    match = _CALL.match(line)
    call = match[1] if match else ""
    if call in FILES and path:
        seen.opened.add(re.sub(r"batchdigits-\w{8}", "batchdigits-*", path))
    elif call in (*PROCESSES, *NETWORK) and "CLONE_THREAD" not in line and "resumed" not in line:
        seen.started.append(line)
