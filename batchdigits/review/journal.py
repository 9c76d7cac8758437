"""The journal of one reviewer: every decision as a line of JSON, in order, none ever changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchdigits.errors import IOFailedError, NoInputError, UnusableInputError
from batchdigits.files.digest import digest_bytes
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import parse_strict
from batchdigits.review.document import PLANTED, Review
from batchdigits.text import listing

logger = logging.getLogger("batchdigits.review")

FORMAT = 1
MOST_BYTES = 1 << 28
"""A decision takes some 80 bytes."""

SUFFIX = ".journal.jsonl"

CANT_TELL = -1
NOT_A_DIGIT = -2
MARKS = {"cant-tell": CANT_TELL, "not-a-digit": NOT_A_DIGIT}
"""The decisions that are no label, as journals write them; negative where labels count from 0."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one reviewer made of one cell: a class, CANT_TELL or NOT_A_DIGIT, and when (UTC)."""

    value: int
    at: str


@dataclass(slots=True)
class Journal:
    """The journal of one reviewer, replayed.

    path       its file; `digest` is of the bytes that were read
    settled    the decisions on cells whose screen was confirmed, by the number of the cell
    over       the decisions on cells that reviewers disagree on, made after both had decided
    slipped    the planted cells that kept their wrong reading when their screen was first confirmed
    confirmed  the cells that were ever confirmed: an undo takes no certificate back
    """

    path: Path
    digest: str
    reviewer: str
    lines: tuple[str, ...]
    settled: dict[int, Decision] = field(default_factory=dict)
    over: dict[int, Decision] = field(default_factory=dict)
    slipped: set[int] = field(default_factory=set)
    confirmed: set[int] = field(default_factory=set)


def read_journal(path: Path, review: Review) -> Journal:
    """Read and replay a journal of a review.

    A last line that was cut off is left out with a warning: it was never reported as saved. Raises
    NoInputError for a missing file, UnusableInputError for a file that is not a journal of this
    review, or is damaged, or names a cell or a label that the review does not have.
    """
    data = _bytes_of(path)
    # The first line alone: what is no journal must not be cut into millions of lines.
    header = parse_header(path, complete_lines(path, data[: data.find(b"\n") + 1]))
    lines = complete_lines(path, data)
    if header["review"] != review.digest:
        raise UnusableInputError(
            f"{path}: a journal of another review ({header['review'][:19]}…, this one is "
            f"{review.digest[:19]}…); keep it in the folder of its own review"
        )
    journal = Journal(path, digest_bytes(data), header["reviewer"], tuple(lines[1:]))
    _replay(journal, review)
    return journal


def header_line(review: Review, reviewer: str, began: str) -> str:
    """Return the first line of a journal."""
    facts = {"journal": FORMAT, "review": review.digest, "reviewer": reviewer, "began": began}
    return json.dumps(facts)


def complete_lines(path: Path, data: bytes) -> list[str]:
    """Return the lines of a journal without a last one that was cut off."""
    whole, _, rest = data.rpartition(b"\n")
    if rest:
        logger.warning(
            "%s: its last line was cut off (%d bytes) and is left out; it was never saved",
            *(path, len(rest)),
        )
    try:
        return whole.decode().split("\n") if whole else []
    except UnicodeDecodeError as error:
        raise UnusableInputError(
            f"{path}: is not UTF-8: not a journal, or damaged; restore it"
        ) from error


def parse_header(path: Path, lines: Sequence[str]) -> Mapping[str, Any]:
    """Parse the first line. Raises UnusableInputError unless it is that of a journal."""
    facts: Any = _parse(lines[0]) if lines else None
    match facts:
        case {"journal": int(version), "review": str(), "reviewer": str()} if version == FORMAT:
            return dict(facts)
        case {"journal": version}:
            raise UnusableInputError(
                f"{path}: a journal of format {version!r}, this batchdigits reads {FORMAT}; use "
                "the version that wrote it"
            )
    raise UnusableInputError(
        f"{path}: not a journal: its first line names no review; give the {SUFFIX} files that the "
        "review wrote"
    )


def check_event(event: Any, number: int, review: Review) -> str:
    """Return why a line of a journal can't be its event `number`; empty if it can."""
    match event:
        case {"n": int(n)} if n != number:
            return f"its number is {n}, expected {number}"
        case {"n": int(), "at": str(), "do": "undo"}:
            return ""
        case {"n": int(), "at": str(), "do": "confirm", "cells": list(cells)}:
            unknown = [cell for cell in cells if not _is_cell(cell, review)]
            return f"the review has no cell {unknown[0]!r}" if unknown else ""
        case {"n": int(), "at": str(), "do": "set" | "settle", "cell": cell}:
            return _problem(event, cell, review)
    return "it is no decision"


def _problem(event: Mapping[str, Any], cell: object, review: Review) -> str:
    if not _is_cell(cell, review):
        return f"the review has no cell {cell!r}"
    if value_of(event, review) is None:
        label = event.get("label", event.get("mark"))
        return f"label {label!r} is unknown, expected {listing(map(repr, review.labels))}"
    return ""


def value_of(event: Mapping[str, Any], review: Review) -> int | None:
    """Return the class, CANT_TELL or NOT_A_DIGIT that an event decides for; None if unknown."""
    label = event.get("label")
    if isinstance(label, str) and label in review.labels:
        return review.labels.index(label)
    mark = event.get("mark")
    return MARKS.get(mark) if label is None and isinstance(mark, str) else None


def _is_cell(cell: object, review: Review) -> bool:
    return type(cell) is int and 0 <= cell < len(review.cells)


def _bytes_of(path: Path) -> bytes:
    try:
        return read_small(path, MOST_BYTES, follow=True)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such file; check the path of the journal") from error
    except OSError as error:
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error


def _parse(line: str) -> Any:
    try:
        return parse_strict(line.encode())
    except ValueError:
        return None


def _replay(journal: Journal, review: Review) -> None:
    """Replay every line. Raises UnusableInputError for a bad one."""
    values: dict[int, int] = {}  # the reading of each cell that was changed
    done: list[list[_Change]] = []
    for number, line in enumerate(journal.lines, start=1):
        event: Any = _parse(line)
        problem = check_event(event, number, review)
        if problem:
            raise UnusableInputError(
                f"{journal.path}: line {number + 1}: {problem}; nothing was written; correct the "
                "line, or restore the journal"
            )
        if event["do"] == "undo":
            for table, cell, before in reversed(done.pop() if done else []):
                _restore(table, cell, before)
        else:
            done.append(list(_changes(event, values, journal, review)))


_Table = dict[int, Any]
_Change = tuple[_Table, int, Any]


def _changes(
    event: Mapping[str, Any], values: dict[int, int], journal: Journal, review: Review
) -> Iterator[_Change]:
    """Make the changes of one event; yield what each table held before."""
    at = event["at"]
    if event["do"] == "confirm":
        for cell in event["cells"]:
            value = values.get(cell, review.cells[cell].shown)
            if cell not in journal.confirmed:
                journal.confirmed.add(cell)
                if review.cells[cell].kind == PLANTED and value == review.cells[cell].shown:
                    journal.slipped.add(cell)
            yield journal.settled, cell, journal.settled.get(cell)
            journal.settled[cell] = Decision(value, at)
        return
    cell, value = event["cell"], value_of(event, review) or 0
    if event["do"] == "settle":
        yield journal.over, cell, journal.over.get(cell)
        journal.over[cell] = Decision(value, at)
        return
    yield values, cell, values.get(cell)
    values[cell] = value
    if cell in journal.settled:
        yield journal.settled, cell, journal.settled[cell]
        journal.settled[cell] = Decision(value, at)


def _restore(table: _Table, cell: int, before: Any) -> None:
    if before is None:
        table.pop(cell, None)
    else:
        table[cell] = before
