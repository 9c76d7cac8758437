"""Faults of many files: one bad cell in each, and a run over them that is killed.

faults.py runs these; tests/faults/support must be importable.
"""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from measure import show

FILES, ROWS = 1000, 1000
RESUMED_FILES, RESUMED_ROWS = 50, 80_000
RESUME_TARGET = 0.25
HANGS = 3600.0
"""Seconds after which a run over that many files counts as hanging, on the busiest machine."""
SHIFTS = range(1797)


@dataclass
class Part:
    """What came of one part: counts for people, and every promise that did not hold."""

    counts: dict[str, Any]
    broken: list[str] = field(default_factory=list)


def first_line(error: AssertionError) -> str:
    """What did not hold, without pytest's explanations."""
    return (str(error).splitlines() or ["an assertion"])[0]


BAD_CELLS = {
    "": "missing",
    "NA": "missing",
    "NaN": "not-finite",
    "inf": "not-finite",
    "-1": "out-of-range",
    "17": "out-of-range",
    "0x10": "not-a-number",
    "1e400": "not-a-number",
    "five": "not-a-number",
}


def cells(folder: Path, files: int, seed: int) -> Part:
    """A bad cell in each file: all other rows as in the undamaged files, the reject told right."""
    chance = random.Random(seed)  # noqa: S311
    damage = {}
    for kind in ("sound", "damaged"):
        (folder / kind).mkdir()
    for number in range(files):
        rows = _rows_of(number)
        name = f"{number:04}.csv"
        _write_rows(folder / "sound" / name, rows)
        place = chance.randrange(ROWS)
        pixel = chance.randrange(64)
        bad = chance.choice(list(BAD_CELLS))
        rows[place] = [*rows[place]]
        rows[place][2 + pixel] = bad
        _write_rows(folder / "damaged" / name, rows)
        damage[name] = place, pixel, bad, ",".join(rows[place])
    summaries = {
        kind: _score(folder / kind, folder / f"{kind}-out") for kind in ("sound", "damaged")
    }
    part = Part(
        {
            "files": files,
            "rows": summaries["damaged"]["rows_in"],
            "predicted": summaries["damaged"]["rows_predicted"],
            "rejected": summaries["damaged"]["rows_rejected"],
            "predicted as in the undamaged file": 0,
            "rejected with row, line, reason, column, value and text": 0,
        }
    )
    for name, (place, pixel, bad, raw) in damage.items():
        _check_cell(folder, name, (place, pixel, bad, raw), part)
    expected = {"rows_in": files * ROWS, "rows_predicted": files * (ROWS - 1), "exit_code": 3}
    for what, value in expected.items():
        if summaries["damaged"][what] != value:
            part.broken.append(f"{what} is {summaries['damaged'][what]}, expected {value}")
    return part


def _check_cell(folder: Path, name: str, damage: tuple[int, int, str, str], part: Part) -> None:
    place, pixel, bad, raw = damage
    outputs = name.replace(".csv", ".predictions.csv")
    expected = (folder / "sound-out" / outputs).read_bytes().splitlines()
    del expected[1 + place]
    written = (folder / "damaged-out" / outputs).read_bytes().splitlines()
    same = sum(ours == theirs for ours, theirs in zip(written[1:], expected[1:], strict=False))
    part.counts["predicted as in the undamaged file"] += same
    if written != expected:
        part.broken.append(f"{name}: {len(expected) - 1 - same} undamaged rows changed")
    rejects = folder / "damaged-out" / name.replace(".csv", ".rejects.csv")
    with rejects.open(encoding="utf-8", newline="") as file:
        told = [
            (r["row"], r["line"], r["reason"], r["column"], r["value"], r["raw"], r["id"])
            for r in csv.DictReader(file)
        ]
    number = raw.split(",", 1)[0]
    right = (str(place + 1), str(place + 2), BAD_CELLS[bad], f"pixel_{pixel}", bad, raw, number)
    part.counts["rejected with row, line, reason, column, value and text"] += told == [right]
    if told != [right]:
        part.broken.append(f"{name}: the reject is {told}, expected {right}")


def resume(folder: Path, rows: int) -> Part:
    """Kill a run over 50 files when 45 are done, and time the next one against a whole run."""
    from fault_runs import finish as ended
    from fault_runs import start, wait_for

    (folder / "in").mkdir()
    lines = some_bad(rows)
    for number in range(RESUMED_FILES):
        header, rest = lines.split(b"\n", 1)
        renamed = rest.replace(b"r0", b"f%02d" % number)
        (folder / "in" / f"{number:02}.csv").write_bytes(header + b"\n" + renamed)
    started = time.perf_counter()
    whole = ended(start(folder / "in", "--output", folder / "whole"), hangs=HANGS)
    whole_seconds = time.perf_counter() - started
    process = start(folder / "in", "--output", folder / "resumed")
    wait_for(folder / "resumed" / f"{RESUMED_FILES * 9 // 10 - 1:02}.receipt.json", process)
    process.kill()
    ended(process)
    done = len(list((folder / "resumed").glob("*.receipt.json")))
    started = time.perf_counter()
    again = ended(start(folder / "in", "--output", folder / "resumed"), hangs=HANGS)
    again_seconds = time.perf_counter() - started
    statuses = Counter(entry["status"] for entry in again.summary["inputs"])
    outputs = sorted(path.name for path in (folder / "whole").glob("*.csv"))
    same = [
        name
        for name in outputs
        if (folder / "whole" / name).read_bytes() == (folder / "resumed" / name).read_bytes()
    ]
    part = Part(
        {
            "files": RESUMED_FILES,
            "rows a file": rows,
            "done when killed": done,
            "unchanged": statuses["unchanged"],
            "scored by the next run": statuses["scored"],
            "seconds of a whole run": round(whole_seconds, 2),
            "seconds of the next run": round(again_seconds, 2),
            "the next run over a whole one": round(again_seconds / whole_seconds, 3),
            "wanted": f"<= {RESUME_TARGET:g}",
            "outputs": len(outputs),
            "outputs with the same bytes": len(same),
        }
    )
    if (whole.code, again.code, len(same)) != (3, 3, 2 * RESUMED_FILES):
        part.broken.append(f"{len(same)} of {len(outputs)} outputs are the same, code {again.code}")
    if list((folder / "resumed").glob(".*")):
        part.broken.append("leftovers stay behind the next run")
    return part


def some_bad(count: int) -> bytes:
    """A CSV of digits with a pixel out of range in one row of 370."""
    from fault_data import csv_bytes, digit_rows

    rows = digit_rows(count)
    for row in rows[3::370]:
        row[50] = "99"
    return csv_bytes(rows)


def _rows_of(number: int) -> list[list[str]]:
    """The rows of one file of `cells`: digits from another place on, ids of its own."""
    digits = _digits()
    shift = number * ROWS % len(SHIFTS)
    rows = digits[shift : shift + ROWS]
    return [[f"{number:04}-{i:04}", *row[1:]] for i, row in enumerate(rows)]


@cache
def _digits() -> list[list[str]]:
    from fault_data import digit_rows

    return digit_rows(len(SHIFTS) + ROWS)


def _write_rows(path: Path, rows: list[list[str]]) -> None:
    from fault_data import csv_bytes

    path.write_bytes(csv_bytes(rows))


def _score(source: Path, output: Path) -> dict[str, Any]:
    from fault_runs import finish as ended
    from fault_runs import start

    show(f"scoring {source.name}")
    return ended(start(source, "--output", output), hangs=HANGS).summary
