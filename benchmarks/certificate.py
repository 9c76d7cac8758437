"""Check that the bounds in a review's certificate hold, with a reviewer who misses one in ten.

    python benchmarks/certificate.py [--runs 100] [--rows 4000] [--seed 0]

Each run draws rows from the sample digits, changes them (a shift by a pixel, noise) so that the
packaged bundle reads some wrongly, and takes the whole way: `predict`, `review make`, a journal,
`review apply`. The scripted reviewer knows the truth, corrects every wrong cell with a probability
of 0.9 and confirms the others. Then the two bounds in the receipt, which promise 99 %, are compared
with what is really left: wrong cells among the settled ones, and wrong rows among the accepted.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from support.measure import ROOT, finish, make_parser, make_ready, show, spread, table, target

import batchdigits
from batchdigits.review.__main__ import main as review
from batchdigits.review.document import DOUBTFUL, Cell, Review
from batchdigits.review.journal import header_line

MISSED = 0.1
AT = "2026-01-31T02:00:00Z"


@dataclass(frozen=True, slots=True)
class Run:
    """What one review left, and what its certificate says about that at most."""

    left: int
    left_bound: int
    accepted: int
    accepted_bound: int


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=4000)
    parser.add_argument("--runs", type=int, default=100, help="default: 100")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    arguments = parser.parse_args(argv)
    before = make_ready()
    logging.disable(logging.WARNING)  # that the rows look changed
    runs = []
    for number in range(arguments.runs):
        show(f"run {number + 1} of {arguments.runs}")
        random = np.random.default_rng([arguments.seed, number])
        with tempfile.TemporaryDirectory() as folder:
            runs.append(_review(Path(folder), arguments.rows, random))
    held = {
        "wrong cells among the settled": [run.left <= run.left_bound for run in runs],
        "wrong rows among the accepted": [run.accepted <= run.accepted_bound for run in runs],
    }
    sides = (("left", "left_bound"), ("accepted", "accepted_bound"))
    figures: dict[str, Any] = {"runs": len(runs), "missed": MISSED}
    lines = []
    for (name, kept), (real, most) in zip(held.items(), sides, strict=True):
        actual, bounds = (spread(getattr(run, side) for run in runs) for side in (real, most))
        share = sum(kept) / len(runs)
        lines.append([name, f"{sum(kept)} of {len(runs)}", actual.text(0), bounds.text(0)])
        figures[most] = {"held": share, **target(share, 0.95)}
    header = ["bound at 99 % of", "held", "really left", "bound"]
    print(table(header, lines))
    finish("certificate", figures, save=arguments.save, load_before=before, timed=False)
    return 0


def _review(folder: Path, rows: int, random: np.random.Generator) -> Run:
    """Take the whole way once."""
    truth = make_forms(folder / "forms.parquet", rows, random)
    batchdigits.score(folder / "forms.parquet", review_below=0.9, allow_suspect=True)
    predictions = folder / "forms.predictions.parquet"
    seed = str(random.integers(2**31))
    options = ["--limit", "300", "--sample", "300", "--seed", seed]
    run_quietly("make", str(predictions), "--output", str(folder / "review"), *options)
    whole = Review.read(folder / "review")
    missed = _write_journal(folder / "review", whole, truth, random)
    run_quietly("apply", str(folder / "review"))
    receipt = json.loads((folder / "forms.reviewed.receipt.json").read_text(encoding="utf-8"))
    after = pq.read_table(folder / "forms.reviewed.parquet")
    accepted = np.array(pq.read_table(predictions)["decision"].to_pylist()) == "accept"
    wrong = after["prediction"].to_numpy() != truth
    certificate = receipt["certificate"]
    return Run(
        left=sum(cell.kind == DOUBTFUL for cell in missed),
        left_bound=certificate["errors_left_at_most"],
        accepted=int((wrong & accepted).sum()),
        accepted_bound=certificate["accepted_errors_at_most"],
    )


def make_forms(path: Path, rows: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Write changed sample digits as Parquet; return their labels."""
    sample = pq.read_table(ROOT / "sample_data" / "digits.parquet")
    pixels = np.stack([sample[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    chosen = random.integers(0, len(pixels), rows)
    images = pixels[chosen].reshape(-1, 8, 8).astype(np.int64)
    shifted = np.roll(images, 1, axis=2)
    shifted[:, :, 0] = 0
    is_shifted = random.random(rows) < 0.5
    images[is_shifted] = shifted[is_shifted]
    noise = random.normal(0, 2.5, images.shape)
    changed = np.clip(np.where(images > 0, images + noise, images).round(), 0, 16)
    flat = pa.array(changed.astype(np.uint8).reshape(-1))
    pq.write_table(pa.table({"pixels": pa.FixedSizeListArray.from_arrays(flat, 64)}), path)
    labels: NDArray[np.int64] = sample["label"].to_numpy()[chosen]
    return labels


def _write_journal(
    folder: Path, whole: Review, truth: NDArray[np.int64], random: np.random.Generator
) -> list[Cell]:
    """Write the journal of the scripted reviewer; return the wrong cells that were missed."""
    lines, missed = [header_line(whole, "script", AT)], []

    def add(**facts: object) -> None:
        lines.append(json.dumps({"n": len(lines), "at": AT, **facts}))

    for number, cell in _wrong(whole, truth):
        if random.random() < MISSED:
            missed.append(cell)
        else:
            add(do="set", cell=number, label=str(truth[cell.place]))
    add(do="confirm", cells=list(range(len(whole.cells))))
    text = "".join(f"{line}\n" for line in lines)
    (folder / "script.journal.jsonl").write_text(text, encoding="utf-8")
    return missed


def _wrong(whole: Review, truth: NDArray[np.int64]) -> Iterator[tuple[int, Cell]]:
    for number, cell in enumerate(whole.cells):
        if whole.labels[cell.shown] != str(truth[cell.place]):
            yield number, cell


def run_quietly(*arguments: str) -> None:
    """Run `review` without its output. Raises SystemExit if it fails."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = review(arguments)
    if code:
        raise SystemExit(f"review {' '.join(arguments)} ended with {code}")


if __name__ == "__main__":
    sys.exit(main())
