"""Runs of predict: what it publishes, and what its receipt and its summary say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pin_runs import (
    Pins,
    Ran,
    changes,
    keep_files,
    keep_run,
    own_folder,
    run_here,
    run_process,
    snapshot,
)

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """Some runs of predict in one folder. `stdin` is the file that the runs get piped."""

    name: str
    files: tuple[str, ...]
    steps: tuple[Argv, ...]
    stdin: str | None = None


def one(name: str, file: str, *flags: str) -> Case:
    """One run over one file, whose outputs go beside it."""
    return Case(name, (file,), ((file, *flags),))


NAN = ("--bundle", "./nan.bundle")
OUT = ("--output", "out/")

CASES = (
    # formats in
    *(one(f"in-{name}", name) for name in ("few.csv", "few.csv.gz", "few.csv.zst")),
    one("in-tsv", "few.tsv", "--delimiter", "\\t"),
    one("in-semicolons", "semicolons.csv", "--delimiter", ";"),
    one("in-byte-order-mark-and-crlf", "crlf.csv"),
    one("in-cr-alone", "cr.csv"),
    one("in-no-header", "few-uci.csv", "--no-header"),
    one("in-no-header-and-keep", "few-uci.csv", "--no-header", "--keep", ""),
    *(
        one(f"in-{name}", name)
        for name in ("few.parquet", "floats.parquet", "mixed.parquet", "no-rows.parquet")
    ),
    one("in-header-alone", "header.csv"),
    *(one(f"in-spelling-{name}", name) for name in ("blocks.csv", "square.csv", "numbers.csv")),
    one("in-list-column", "list.parquet"),
    # formats out
    *(
        one(f"out-{suffix}", "few.csv", "--output", f"out/day.{suffix}")
        for suffix in ("csv", "csv.gz", "csv.zst", "parquet")
    ),
    *(
        one(f"out-parquet-to-{suffix}", "few.parquet", "--output", f"out/day.{suffix}")
        for suffix in ("csv", "csv.gz", "csv.zst", "parquet")
    ),
    one("out-list-column-to-csv", "list.parquet", "--keep", "id", "--output", "day.csv"),
    Case("out-folder-of-inputs", ("few.csv", "bad.csv"), ((".", *OUT),)),
    Case("out-glob", ("few.csv", "few.tsv", "bad.csv"), (("*ew.c*", "bad.csv", *OUT),)),
    Case("stdin-to-parquet", (), (("-", "--output", "day.parquet"),), "few.csv"),
    Case("stdin-to-csv", (), (("-", "--output", "day.csv", "--max-rejects", "50%"),), "bad.csv"),
    # options
    one("probabilities", "few.csv", "--probabilities"),
    one("probabilities-parquet", "few.parquet", "--probabilities"),
    one("review-below", "few.csv", "--review-below", "0.995"),
    one("review-below-parquet", "few.parquet", "--review-below", "0.995"),
    one("review-below-strangeness", "ink.csv", "--review-below", "0.995", "--strangeness"),
    one("strangeness", "cells.csv", "--strangeness"),
    one("strangeness-probabilities", "few.parquet", "--strangeness", "--probabilities"),
    one("keep-two", "few.csv", "--keep", "label,form_id"),
    one("keep-none", "few.csv", "--keep", ""),
    one("keep-parquet", "few.parquet", "--keep", "label"),
    one("keep-leaves-out-a-reserved-name", "reserved.csv", "--keep", "label"),
    one("scale", "scaled.csv", "--scale", "240"),
    one("pixels-range", "foreign.csv", "--pixels", "ink{1..64}"),
    one("pixels-names", "foreign.csv", "--pixels", ",".join(f"ink{i}" for i in range(64, 0, -1))),
    one("pixels-no-header", "few-uci.csv", "--no-header", "--pixels", "column_{2..65}"),
    one("pixels-list", "lists.parquet", "--pixels", "ink"),
    one("workers-and-batches", "few.parquet", "--workers", "2", "--batch-size", "5"),
    Case("bundle-old", ("few.csv", "old.bundle"), (("few.csv", "--bundle", "./old.bundle"),)),
    Case(
        "bundle-with-a-threshold",
        ("few.csv", "strict.bundle"),
        (("few.csv", "--bundle", "./strict.bundle"),),
    ),
    Case(
        "bundle-with-a-threshold-and-strangeness",
        ("ink.csv", "strict.bundle"),
        (("ink.csv", "--bundle", "./strict.bundle", "--strangeness"),),
    ),
    Case("bundle-of-three-classes", ("few.csv", "nan.bundle"), (("few.csv", *NAN),)),
    # rejects
    one("rejects-reasons", "reasons.csv"),
    one("rejects-reasons-to-parquet", "reasons.csv", "--output", "out/day.parquet"),
    one("rejects-reasons-to-gzip", "reasons.csv", "--output", "out/day.csv.gz", "--keep", "label"),
    one("rejects-cells", "cells.csv", "--keep", "label"),
    one("rejects-bad", "bad.csv"),
    one("rejects-parquet", "holes.parquet"),
    one("rejects-parquet-to-csv", "holes.parquet", "--output", "out/day.csv"),
    one("rejects-lists-to-zstandard", "lists.parquet", "--pixels", "ink", "--output", "d.csv.zst"),
    one("rejects-quoted-words", "words.csv"),
    Case("rejects-no-probability", ("ink.csv", "nan.bundle"), (("ink.csv", *NAN),)),
    one("rejects-as-many-as-allowed", "bad.csv", "--max-rejects", "16"),
    one("rejects-one-more-than-allowed", "bad.csv", "--max-rejects", "15"),
    one("rejects-share-allowed", "bad.csv", "--max-rejects", "44.5%"),
    # the whole sample, and what is judged as a whole
    one("whole-parquet", "digits.parquet"),
    one("whole-strangeness", "digits.parquet", "--strangeness"),
    one("whole-csv", "digits.csv", "--output", "day.parquet", "--keep", ""),
    one("whole-uci", "digits-uci.csv", "--no-header", "--output", "day.parquet"),
    one("drift-above", "threes.csv", "--max-drift", "0.3", "--keep", ""),
    one("drift-within", "threes.csv", "--max-drift", "0.9", "--keep", ""),
    *(
        one(f"suspect-{name}", f"{name}.csv", "--keep", "", "--allow-suspect")
        for name in ("inverted", "transposed", "blank")
    ),
    # again
    Case("again-unchanged", ("bad.csv",), (("bad.csv",), ("bad.csv",), ("bad.csv", "--check"))),
    Case(
        "again-unchanged-with-another-limit",
        ("bad.csv",),
        (("bad.csv",), ("bad.csv", "--max-rejects", "16")),
    ),
    Case(
        "again-other-options",
        ("few.csv",),
        (
            ("few.csv",),
            ("few.csv", "--probabilities"),
            ("few.csv", "--probabilities", "--check"),
            ("few.csv", "--probabilities", "--overwrite"),
        ),
    ),
    Case(
        "again-in-another-format",
        ("bad.csv",),
        (
            ("bad.csv", "--output", "day.csv"),
            ("bad.csv", "--output", "day.parquet"),
            ("bad.csv", "--output", "day.parquet", "--overwrite"),
        ),
    ),
    Case(
        "again-input-changed",
        ("few.csv", "bad.csv"),
        (
            ("few.csv", "--output", "day.csv"),
            ("bad.csv", "--output", "day.csv"),
            ("bad.csv", "--output", "day.csv", "--overwrite"),
            ("few.csv", "--output", "day.csv", "--overwrite"),
        ),
    ),
    Case(
        "check-ready-and-refused",
        ("few.csv", "short.csv", "empty.csv"),
        (("few.csv", "short.csv", "empty.csv", "gone.csv", *OUT, "--check"),),
    ),
    Case(
        "some-refused",
        ("few.csv", "short.csv", "empty.csv"),
        (("few.csv", "short.csv", "empty.csv", "gone.csv", *OUT),),
    ),
)


def record(pins: Pins, inputs: Path) -> None:
    for case in CASES:
        with own_folder(case.name, [inputs / name for name in case.files]):
            _record_one(pins, case, inputs)
    with own_folder("process-of-its-own", [inputs / "few.csv"]):
        before = snapshot()
        ran = run_process("predict", "few.csv")
        keep_run(
            pins, "process-of-its-own", ["predict", "few.csv"], ran, changes(before, snapshot())
        )


def _record_one(pins: Pins, case: Case, inputs: Path) -> None:
    first = before = snapshot()
    for number, argv in enumerate(case.steps, 1):
        ran = _run(case, argv, inputs)
        after = snapshot()
        keep_run(pins, f"{case.name}/{number}", ("predict", *argv), ran, changes(before, after))
        before = after
    names = [name for name in changes(first, before) if Path(name).is_file()]
    for name, facts in keep_files(pins, case.name, names).items():
        pins.keep(f"{case.name}/{name}", facts)


def _run(case: Case, argv: Argv, inputs: Path) -> Ran:
    if case.stdin is None:
        return run_here("predict", *argv)
    return run_process("predict", *argv, stdin=(inputs / case.stdin).read_bytes())
