"""Is anything ever lost? The faults of tests/faults in full numbers, and what the checks cost.

    python benchmarks/faults.py [--only kills …]

kills    runs killed with SIGKILL at random times, a third of them inside the commit, over nothing
         or over an older output; each must mislead nobody and be mended by the next run
damages  generated damage to CSV, gzip and Parquet files; each must be refused or balance
cells    one bad cell in each of many files: it costs its row alone
resume   a run over many files, killed at 90 %: the next one does what is left
codes    each way to end, many times: always with the same exit code
price    rows a second with every check and with none (wants a quiet machine)

Exit code 1 if a promise was broken.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from many_files import (
    FILES,
    RESUMED_FILES,
    RESUMED_ROWS,
    Part,
    cells,
    first_line,
    resume,
    some_bad,
)
from measure import ROOT, Spread, finish, make_parser, make_ready, show, table
from unchecked import price

sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "faults" / "support"))

from fault_codes import ENDINGS, prepare
from fault_kills import AIMS, Killed, kill_and_heal
from fault_runs import Job, predict_here, undisturbed

PARTS = ("kills", "damages", "cells", "resume", "codes", "price")
KILLS, DAMAGES, CODE_RUNS = 200, 400, 100
PRICE_ROWS = 1_000_000
SEED = 20_260


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"default: {KILLS}")
    parser.add_argument("--damages", type=int, default=DAMAGES, help=f"default: {DAMAGES}")
    parser.add_argument("--files", type=int, default=FILES, help=f"of `cells` (default: {FILES})")
    parser.add_argument(
        "--resumed-rows",
        type=int,
        default=RESUMED_ROWS,
        help=f"of each of the {RESUMED_FILES} files of `resume` (default: {RESUMED_ROWS})",
    )
    parser.add_argument("--price-rows", type=int, default=PRICE_ROWS, help=f"default: {PRICE_ROWS}")
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}")
    arguments = parser.parse_args(argv)
    before = make_ready()
    makers: dict[str, Callable[[Path], Part]] = {
        "kills": lambda folder: kills(folder, arguments.kills, arguments.seed),
        "damages": lambda folder: damages(folder, arguments.damages, arguments.seed),
        "cells": lambda folder: cells(folder, arguments.files, arguments.seed),
        "resume": lambda folder: resume(folder, arguments.resumed_rows),
        "codes": codes,
        "price": lambda _: price(arguments.data_folder, arguments.price_rows, arguments.pairs),
    }
    found: dict[str, Part] = {}
    for name in arguments.only:
        with tempfile.TemporaryDirectory(prefix=f"faults-{name}-") as folder:
            started = time.monotonic()
            found[name] = makers[name](Path(folder))
            show(f"{name}: {time.monotonic() - started:.0f} s")
    broken = [f"{name}: {what}" for name, part in found.items() for what in part.broken]
    _print(found, broken)
    figures = {name: part.counts for name, part in found.items()}
    name = "faults" if len(found) > 1 else f"faults_{next(iter(found))}"
    finish(name, {**figures, "broken": broken}, save=arguments.save, load_before=before)
    return 1 if broken else 0


def _print(found: dict[str, Part], broken: list[str]) -> None:
    lines = [
        [name, what, _shown(value)]
        for name, part in found.items()
        for what, value in part.counts.items()
    ]
    print(table(["part", "counted", ""], lines))
    print(f"\npromises broken: {len(broken)}\n" + "\n".join(broken))


def _shown(value: Any) -> str:
    if isinstance(value, Spread):
        return value.text()
    return value if isinstance(value, str) else f"{value:,}"


def kills(folder: Path, count: int, seed: int) -> Part:
    """Kill runs over nothing and over an older output, as CSV and as Parquet; heal each."""
    source = folder / "in.csv"
    source.write_bytes(some_bad(12_000))
    chance = random.Random(seed)  # noqa: S311  # seeded, so that it can be done again
    done: Counter[str] = Counter(dict.fromkeys(_KILL_COUNTS, 0))
    part = Part(done)
    for suffix in (".csv", ".parquet"):
        job = Job(source, folder / f"out{suffix}" / f"p{suffix}", ("--overwrite",))
        job = job.elsewhere(job.output.parent)
        after = undisturbed(job, folder / f"after{suffix}")
        old = Job(source, job.output, ("--keep", "id"))
        before = undisturbed(old, folder / f"before{suffix}")
        wanted = done["runs killed"] + count // 2
        i = 0
        while done["runs killed"] < wanted and not part.broken:
            aim, over_old = AIMS[i % len(AIMS)], i // len(AIMS) % 2 == 1
            i += 1
            shutil.rmtree(job.output.parent)
            if over_old:
                shutil.copytree(folder / f"before{suffix}", job.output.parent)
            else:
                job.output.parent.mkdir()
            try:
                killed = kill_and_heal(job, before if over_old else {}, after, aim, chance)
            except AssertionError as error:
                part.broken.append(f"kill {i} of {suffix}, {aim}: {first_line(error)}")
            else:
                _count(done, killed, over_old=over_old)
    return part


def _count(done: Counter[str], killed: Killed, *, over_old: bool) -> None:
    if killed.ended:
        done["had ended before"] += 1
        return
    done["runs killed"] += 1
    done["killed inside the commit"] += killed.plan
    done["left temporaries"] += killed.temporaries
    done["over an older output"] += over_old
    done["mended by the next run"] += 1
    if done["runs killed"] % 20 == 0:
        show(f"{done['runs killed']} killed")


_KILL_COUNTS = (
    *("runs killed", "had ended before", "killed inside the commit", "left temporaries"),
    *("over an older output", "mended by the next run"),
)


def codes(folder: Path) -> Part:
    """The commands of fault_codes in turn, a hundred times: each ends with one code."""
    prepare(folder)
    part = Part({"commands": len(ENDINGS), "runs of each": 0})
    with contextlib.chdir(folder):
        for _ in range(CODE_RUNS):
            for arguments, code in ENDINGS:
                got = predict_here(*arguments).code
                if got != code:
                    part.broken.append(f"{' '.join(arguments)} ended with {got}, expected {code}")
            part.counts["runs of each"] += 1
    return part


def damages(folder: Path, count: int, seed: int) -> Part:
    """Half of the damage to plain CSV, an eighth to gzip, the rest to Parquet with checksums."""
    import fault_damage as fault
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded

    for name in ("csv", "parquet"):
        (folder / name).mkdir()
    csv_file = fault.CsvUnderDamage(folder / "csv")
    parquet_file = fault.ParquetUnderDamage(folder / "parquet")
    packed = fault.compressed(csv_file.whole)

    def text(changes: list[fault.Damage]) -> str:
        return _outcome(csv_file.check_text(fault.damaged(csv_file.whole, changes)).code)

    def gzip(changes: list[fault.Damage]) -> str:
        return _outcome(csv_file.check(fault.damaged(packed, changes), "in.csv.gz").code)

    def parquet(changes: list[fault.Damage]) -> str:
        return parquet_file.check(fault.damaged(parquet_file.whole, changes))

    part = Part({})
    shares = {"CSV": (text, count // 2), "gzip": (gzip, count // 8)}
    shares["Parquet"] = (parquet, count - count // 2 - count // 8)
    for name, (check, examples) in shares.items():
        run = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        show(f"damages: {examples} of {name}")
        seeded(seed)(run(given(fault.damages())(_counted(name, check, part))))()
    silent = part.counts.get("Parquet: silent", 0)
    if silent:
        part.broken.append(f"{silent} damaged Parquet files with checksums were read as others")
    part.counts = dict(sorted(part.counts.items()))
    part.counts["in all"] = sum(part.counts.values())
    return part


def _counted(name: str, check: Callable[[Any], str], part: Part) -> Callable[[Any], None]:
    """The check as a test that counts what came of it, and fails no more than that."""

    def one(changes: Any) -> None:
        try:
            outcome = f"{name}: {check(changes)}"
        except AssertionError as error:
            part.broken.append(f"{name}, {changes}: {first_line(error)}")
        else:
            part.counts[outcome] = part.counts.get(outcome, 0) + 1

    return one


def _outcome(code: int) -> str:
    return {0: "published", 3: "published with rejects", 65: "refused"}[code]


if __name__ == "__main__":
    sys.exit(main())
