"""Measurements that every benchmark needs: runs in turn, ratios with their spread, the JSON line.

Only the standard library is imported here: a child's peak memory starts at its parent's.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
SCRIPTS = ROOT / "benchmarks" / "scripts"
PACKAGED_BUNDLE = ROOT / "batchdigits" / "data" / "digits-3.bundle"
SAMPLE = ROOT / "sample_data" / "digits.parquet"
MEGABYTE = 1e6
QUIET_LOAD = 0.3
"""Cores that other processes may keep busy while something is measured."""

LOAD_SECONDS = 5
WAIT_SECONDS = 300

Result = TypeVar("Result")

# The scripts of others import ONNX Runtime too: no side reports to its vendor.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that one process used.

    seconds      by the clock, from before its start to after its end
    cpu_seconds  of all its threads, in user and kernel mode, its waited-for children included
    peak_mb      the most memory it held at once (resident, 10**6 bytes)
    output       its standard output
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of the same quantity: the median, the smallest and the largest."""

    median: float
    low: float
    high: float

    def text(self, digits: int = 2, unit: str = "") -> str:
        """Format as `2.10 (1.98 to 2.31)`, with the unit after the median."""
        return f"{self.median:.{digits}f}{unit} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spread(values: Iterable[float]) -> Spread:
    """Return the spread of at least one value."""
    ordered = sorted(values)
    return Spread(statistics.median(ordered), ordered[0], ordered[-1])


def ratios(tops: Sequence[float], bottoms: Sequence[float]) -> Spread:
    """Return the spread of top / bottom, pair by pair; both of a pair come from one round."""
    return spread(top / bottom for top, bottom in zip(tops, bottoms, strict=True))


def in_turn(rounds: int, sides: dict[str, Callable[[], Result]]) -> dict[str, list[Result]]:
    """Run each side once a round, in the order given (A B A B …); return each side's results."""
    results: dict[str, list[Result]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        for name, side in sides.items():
            show(f"round {number} of {rounds}: {name}")
            results[name].append(side())
    return results


def run(command: Sequence[str | os.PathLike[str]], env: dict[str, str] | None = None) -> Usage:
    """Run a command from the root of the repository, and return the resources it used.

    Raises SystemExit with the end of its messages when it fails.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, env=env)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode()
        if process.returncode != 0:
            err.seek(0)
            detail = err.read().decode(errors="replace")[-2000:]
            shown = " ".join(map(str, command))
            raise SystemExit(f"{shown}\nended with {process.returncode}:\n{detail}")
    cpu = usage.ru_utime + usage.ru_stime
    return Usage(seconds, cpu, usage.ru_maxrss * _maxrss_unit() / MEGABYTE, output)


def product(source: Path, target: Path, *flags: str) -> list[str]:
    """Return the command that scores `source` into `target`, and overwrites it."""
    command = [sys.executable, "-m", "batchdigits.predict", str(source), "--output", str(target)]
    return [*command, "--overwrite", *flags]


def score(source: Path, target: Path, *flags: str) -> Usage:
    """Score with the whole process of the product, into an output that does not exist yet.

    A finished output would be left unchanged. The time to remove it is not counted.
    """
    for path in (target, target.with_name(f"{target.stem}.receipt.json")):
        path.unlink(missing_ok=True)
    return run(product(source, target, *flags))


def make_data(folder: Path, rows: int, kind: str, *flags: str) -> Path:
    """Return the file of `rows` rows, "parquet" or "csv", made by data.py if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"digits-{rows}{''.join(flags)}.{kind}"
    if not path.exists():
        show(f"making {path}")
        made = path.with_name(f"making-{path.name}")
        run([sys.executable, ROOT / "benchmarks" / "data.py", str(rows), made, *flags])
        made.rename(path)
    return path


def unpack_bundle(bundle: Path, folder: Path) -> Path:
    """Write the members of a bundle as files, as a script written by hand has them."""
    import shutil
    import zipfile

    target = folder / "model"
    shutil.rmtree(target, ignore_errors=True)  # a peer keeps there what it made of an older bundle
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(target)
    return target


def make_parser(doc: str, *, rows: int | None = None, pairs: int = 5) -> argparse.ArgumentParser:
    """Return a parser with the flags that every benchmark has."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if rows is not None:
        parser.add_argument("--rows", type=int, default=rows, help=f"default: {rows}")
    parser.add_argument("--pairs", type=int, default=pairs, help=f"rounds (default: {pairs})")
    parser.add_argument(
        "--data-folder",
        type=Path,
        default=Path(tempfile.gettempdir(), "batchdigits-benchmarks"),
        help="where inputs are made and outputs written (default: in the temporary folder)",
    )
    parser.add_argument(
        "--save", action="store_true", help="keep the JSON line for page.py, in benchmarks/results"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help=f"wait at most this long for a load below {QUIET_LOAD:g} (default: {WAIT_SECONDS}); "
        "figures of a busy machine are not saved",
    )
    return parser


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format rows of text as an aligned Markdown table."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def fill(page: Path, parts: Mapping[str, str]) -> None:
    """Replace the text on the page between `<!-- NAME -->` and `<!-- end -->`."""
    text = page.read_text()
    for name, part in parts.items():
        before, mark, behind = text.partition(f"<!-- {name} -->\n")
        if not mark:
            raise SystemExit(f"{page} has no <!-- {name} -->")
        _, end, rest = behind.partition("<!-- end -->")
        text = f"{before}{mark}{part}\n{end}{rest}"
    page.write_text(text)


def finish(
    name: str, figures: dict[str, Any], *, save: bool, load_before: float, timed: bool = True
) -> None:
    """Print the JSON line; keep it in benchmarks/results if asked to.

    timed  some figures are times, so they are not kept if the machine was busy
    """
    result = {
        "benchmark": name,
        **figures,
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "load_before": load_before,
    }
    line = json.dumps(result, default=_as_json)
    if save and timed and load_before > QUIET_LOAD:
        show(f"not saved: the load was {load_before:g}, expected at most {QUIET_LOAD:g}")
    elif save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(json.loads(line), indent=1) + "\n")
    print(line)


def load_results() -> dict[str, dict[str, Any]]:
    """Return the saved figures by the name of their benchmark."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}


def target(value: float, wanted: float, *, at_most: bool = False) -> dict[str, Any]:
    """Return a target, and whether a measured median meets it."""
    met = value <= wanted if at_most else value >= wanted
    return {"target": f"{'<=' if at_most else '>='} {wanted:g}", "met": met}


def make_ready(wait: float = 0) -> float:
    """Compile the package, wait until the machine is quiet, and return its load.

    pip compiles what it installs; without that, every start of a checkout may compile it again.

    wait  the most seconds to wait; it is reported if the machine is still busy then
    """
    compileall.compile_dir(ROOT / "batchdigits", quiet=1)
    until = time.monotonic() + wait
    while (busy := busy_cores()) > QUIET_LOAD and time.monotonic() < until:
        show(f"waiting for a load below {QUIET_LOAD:g}, it is {busy:.2f}")
    if busy > QUIET_LOAD:
        show(f"the machine was never quiet (load {busy:.2f}): trust the ratios at most")
    return round(busy, 2)


def busy_cores(seconds: float = LOAD_SECONDS) -> float:
    """Return how many cores were busy, on average of the next seconds.

    That of the last minute would have this process wait for what it has just done itself. Time that
    a virtual machine had to leave to its neighbours counts as busy. Without /proc it is the load of
    the last minute.
    """
    if not Path("/proc/stat").exists():
        return os.getloadavg()[0]
    idle, total = _processor_time()
    time.sleep(seconds)
    still_idle, now = _processor_time()
    cpus = os.cpu_count() or 1
    return cpus * (1 - (still_idle - idle) / max(now - total, 1))


def _processor_time() -> tuple[int, int]:
    """Return the idle and the whole time of all CPUs since the start, in clock ticks."""
    user, nice, system, idle, waiting, *others = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return idle + waiting, user + nice + system + idle + waiting + sum(others)


def cores() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """Return the processor, its number of cores, and the version of Python."""
    return f"{_processor()}, {cores()} cores, Python {platform.python_version()}"


def show(text: str) -> None:
    """Report progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def _maxrss_unit() -> int:
    """Return the bytes of one unit of ru_maxrss: a kilobyte, but a byte on macOS."""
    return 1 if sys.platform == "darwin" else 1024


def _as_json(value: Any) -> Any:
    if isinstance(value, Spread):
        return {name: round(number, 4) for name, number in asdict(value).items()}
    raise TypeError(f"no JSON for {type(value).__name__}")
