"""Measure how fast cells become fields, and that none is lost or shortened.

    python benchmarks/fields.py [--rows 1000000] [--pairs 5]

A million scored cells of 125,000 fields, with gaps, doubled positions, rejected, lost and scattered
cells, as predict writes them. Every field is compared with what a slow reference makes of the same
cells.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from support.measure import finish, make_parser, make_ready, run, spread, table, target

WANTED = 0.5e6
LENGTH = 8


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = make_parser(__doc__, rows=1_000_000).parse_args(argv)
    before = make_ready(arguments.wait)
    arguments.data_folder.mkdir(parents=True, exist_ok=True)
    source, expected = _make(arguments.data_folder, arguments.rows // LENGTH)
    output = arguments.data_folder / "fields.parquet"
    flags = ["--group", "form", "--output", output, "--overwrite"]
    times = []
    for number in range(arguments.pairs):
        limit = ["--review-below", f"{number + 1}%"]  # other options, or nothing would be done
        command = [sys.executable, "-m", "batchdigits.fields", source, *flags, *limit]
        times.append(run(command).seconds)
    receipt = json.loads(output.with_name("fields.fields.receipt.json").read_text())
    differing = _differing(output, expected)
    rates = spread(receipt["cells"] / seconds / 1e6 for seconds in times)
    lines = [["million cells/s, whole process", rates.text()]]
    lines += [["fields", f"{receipt['fields']:,}"], ["unlike the reference", str(differing)]]
    print(table(["", ""], lines))
    met = target(rates.median * 1e6, WANTED)
    figures = {"cells": receipt["cells"], "rate": rates, "differing": differing, **met}
    finish("fields", figures, save=arguments.save, load_before=before)
    return 1 if differing else 0


def _make(folder: Path, count: int) -> tuple[Path, dict[str, tuple[str | None, str | None]]]:
    """Write predictions, rejects and receipt; return the predictions, and text and cause by key."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from batchdigits.files.digest import digest_file

    random = np.random.default_rng(0)
    digits = random.integers(0, 10, (count, LENGTH))
    confidence = random.uniform(0.9, 1, (count, LENGTH)).astype(np.float32)
    fates = random.choice(["whole", "gap", "doubled", "rejected", "last"], count, p=_SHARES)
    cells: list[tuple[int, int, int, float]] = []  # form, position, digit or -1, confidence
    expected: dict[str, tuple[str | None, str | None]] = {}
    for form, (fate, row, sure) in enumerate(zip(fates, digits, confidence, strict=True)):
        mine = [(form, at + 1, int(row[at]), float(sure[at])) for at in range(LENGTH)]
        text, cause = "".join(map(str, row)), None
        place = LENGTH - 1 if fate == "last" else form % (LENGTH - 1)
        if fate == "gap":
            del mine[place]
        elif fate == "doubled":
            mine.append((form, place + 1, 5, 0.95))
        elif fate in ("rejected", "last"):
            mine[place] = (form, place + 1, -1, 0.0)
        if fate != "whole":
            text = f"{text[:place]}?{text[place + 1 :]}"
            cause = "rejected" if fate == "last" else str(fate)
        cells += mine
        expected[f"F{form}"] = text, cause
    for form in range(0, count, max(count // 100, 1)):  # a hundred fields end far away
        if fates[form] == "whole":
            at = next(i for i, cell in enumerate(cells) if cell[:2] == (form, LENGTH))
            cells.append(cells.pop(at))
            expected[f"F{form}"] = expected[f"F{form}"][0], "scattered"

    names = [f"F{form}" for form, *_ in cells]
    position, digit, sure = (np.array([cell[i] for cell in cells]) for i in (1, 2, 3))
    read, lost = np.flatnonzero(digit >= 0), np.flatnonzero(digit < 0)
    form = pa.array(names)
    predictions = pa.table(
        {
            "form": form.take(pa.array(read)),
            "position": position[read].astype(np.int32),
            "prediction": digit[read],
            "confidence": sure[read].astype(np.float32),
        }
    )
    rejects = pa.table(
        {
            "form": form.take(pa.array(lost)),
            "position": position[lost].astype(np.int32),
            "row": lost + 1,
            "reason": ["out-of-range"] * len(lost),
        }
    )
    outputs = {}
    for role, rows in (("predictions", predictions), ("rejects", rejects)):
        path = folder / f"cells.{role}.parquet"
        pq.write_table(rows, path)
        size = path.stat().st_size
        outputs[role] = {"path": path.name, "sha256": digest_file(path), "bytes": size}
    receipt = {"format": 1, "rows_in": len(cells), "outputs": outputs}
    (folder / "cells.receipt.json").write_text(json.dumps(receipt))
    return folder / "cells.predictions.parquet", expected


_SHARES = [0.9, 0.03, 0.03, 0.02, 0.02]


def _differing(output: Path, expected: dict[str, tuple[str | None, str | None]]) -> int:
    """Count the fields that are missing, doubled, or not as expected."""
    import pyarrow.parquet as pq

    rows = pq.read_table(output, columns=["form", "text", "cause", "probability"]).to_pylist()
    seen = Counter(row["form"] for row in rows)
    wrong = sum(count - 1 for count in seen.values()) + len(expected.keys() - seen.keys())
    for row in rows:
        whole = "?" not in row["text"]
        if (row["text"], row["cause"]) != expected[row["form"]] or whole != (
            row["probability"] is not None
        ):
            wrong += 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
