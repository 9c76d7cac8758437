"""Reviews and their journals, made as the commands and the page make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from paths import SAMPLE_DATA

from batchdigits.predict import main as predict
from batchdigits.review.__main__ import main as review
from batchdigits.review.document import DOUBTFUL, PLANTED, Cell, Review, ReviewedFile
from batchdigits.review.journal import MARKS, SUFFIX, header_line

AT = "2026-11-28T08:00:00Z"
BELOW = "0.999"
"""So that some fifty of the 300 rows are in doubt."""


def cell(place: int, shown: int = 7, kind: str = DOUBTFUL, **others: Any) -> Cell:
    """A blank cell at a place of the first file; predict read it as it is shown, or as an 1."""
    facts = {
        "file": 0,
        "row": place + 1,
        "read": 1 if kind == PLANTED else shown,
        "confidence": 0.5,
        "others": (1, 2),
        "pixels": np.zeros(64, np.uint8),
    }
    return Cell(place=place, kind=kind, shown=shown, **{**facts, **others})


def review_of(*cells: Cell, accepted: int = 900) -> Review:
    """A review of digits in one file of 1,000 predictions, as it is read from its document."""
    file = ReviewedFile("../forms.predictions.parquet", "sha256:" + "0" * 64, 1000, accepted, {})
    made = Review(tuple("0123456789"), (file,), cells, {"seed": 0})
    return Review._parse(json.loads(made.encode()), "sha256:" + "1" * 64)


class Pen:
    """Writes the journal of one reviewer, event by event."""

    def __init__(self, made: Review, reviewer: str = "ana") -> None:
        self.review = made
        self.lines = [header_line(made, reviewer, AT)]
        self.reviewer = reviewer

    def _event(self, **facts: Any) -> Pen:
        self.lines.append(json.dumps({"n": len(self.lines), "at": AT, **facts}))
        return self

    def set(self, number: int, label: str) -> Pen:
        return self._event(do="set", cell=number, **said(label))

    def settle(self, number: int, label: str) -> Pen:
        return self._event(do="settle", cell=number, **said(label))

    def confirm(self, cells: Iterable[int]) -> Pen:
        return self._event(do="confirm", cells=list(cells))

    def undo(self) -> Pen:
        return self._event(do="undo")

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.reviewer}{SUFFIX}"
        path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")
        return path


def said(label: str) -> dict[str, str]:
    """A label, or one of the marks that are no label, as an event has it."""
    return {"mark": label} if label in MARKS else {"label": label}


def settle_all(pen: Pen, truth: Callable[[Cell], str], step: int = 100) -> Pen:
    """Correct what is wrong, and confirm the cells in screens of `step`."""
    cells = pen.review.cells
    for first in range(0, len(cells), step):
        screen = range(first, min(first + step, len(cells)))
        for number in screen:
            label = truth(cells[number])
            if label != pen.review.labels[cells[number].shown]:
                pen.set(number, label)
        pen.confirm(screen)
    return pen


def predicted(folder: Path, *flags: str, rows: int = 300, suffix: str = "parquet") -> Path:
    """Predictions of sample digits with their receipt."""
    source = folder / f"forms.{suffix}"
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, rows)
    if suffix == "parquet":
        pq.write_table(table, source)
    else:
        lines = (SAMPLE_DATA / "digits.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        source.write_text("".join(lines[: rows + 1]), encoding="utf-8")
    assert predict([str(source), "--review-below", BELOW, *flags]) == 0
    return folder / f"forms.predictions.{suffix}"


def made(folder: Path, predictions: Path, *flags: str) -> Review:
    """The review of some predictions, in the folder `review` beside them."""
    output = folder / "review"
    assert review(["make", str(predictions), "--output", str(output), *flags]) == 0
    return Review.read(output)


@cache
def truths() -> list[str]:
    """The labels of the sample digits, by place."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet", columns=["label"])
    return [str(label) for label in table["label"].to_pylist()]
