"""The journals of one review, merged: what all reviewers together decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from batchdigits.errors import UnusableInputError
from batchdigits.review.document import DOUBTFUL, PLANTED, SAMPLE, Review
from batchdigits.review.journal import CANT_TELL, Journal


@dataclass(frozen=True, slots=True)
class Settled:
    """The decision on one cell: a class, CANT_TELL or NOT_A_DIGIT, by whom, and when (UTC)."""

    value: int
    by: tuple[str, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Merged:
    """The decisions of all reviewers.

    settled   the cells that are decided, planted ones not among them
    disputed  the cells on which reviewers disagree; they stay open and come up again
    planted   the planted cells that were confirmed; `slipped` are those that nobody caught
    doubts    the planted cells that were caught as something else than predict had read: the
              accepted row may be wrong
    """

    settled: dict[int, Settled]
    disputed: tuple[int, ...]
    planted: tuple[int, ...]
    slipped: tuple[int, ...]
    doubts: tuple[int, ...]

    def of_kind(self, kind: str, review: Review) -> list[int]:
        """Return the settled cells of a kind."""
        return [cell for cell in self.settled if review.cells[cell].kind == kind]

    def is_changed(self, cell: int, review: Review) -> bool:
        """Tell whether a settled cell is something else than it was shown as, or can't be told."""
        return self.settled[cell].value != review.cells[cell].shown

    def open_cells(self, review: Review) -> int:
        """Count the doubtful and sampled cells without a decision, or that nobody can tell."""
        wanted = sum(cell.kind != PLANTED for cell in review.cells)
        return wanted - sum(done.value != CANT_TELL for done in self.settled.values())

    def counts(self, review: Review) -> dict[str, int]:
        """Return the counts of cells as receipts hold them."""
        return {
            "cells": sum(cell.kind != PLANTED for cell in review.cells),
            "settled": len(self.settled),
            "changed": sum(self.is_changed(cell, review) for cell in self.settled),
            "open": self.open_cells(review),
            "disputed": len(self.disputed),
        }


def merge(journals: Sequence[Journal], review: Review) -> Merged:
    """Merge the journals of a review.

    A cell that several reviewers settled is settled if they agree; if they don't, what they decided
    about the disagreement counts, if that agrees. Raises UnusableInputError for two journals of one
    reviewer, unless one continues the other.
    """
    journals = _one_each(journals)
    settled: dict[int, Settled] = {}
    disputed = []
    for cell in sorted({cell for journal in journals for cell in journal.settled}):
        if review.cells[cell].kind == PLANTED:
            continue
        decision = _decided(cell, journals)
        if decision is None:
            disputed.append(cell)
        else:
            settled[cell] = decision
    confirmed = {
        cell: [journal for journal in journals if cell in journal.confirmed]
        for cell in range(len(review.cells))
        if review.cells[cell].kind == PLANTED
    }
    planted = tuple(cell for cell, seen_by in confirmed.items() if seen_by)
    slipped = tuple(c for c in planted if all(c in journal.slipped for journal in confirmed[c]))
    return Merged(settled, tuple(disputed), planted, slipped, _doubts(planted, journals, review))


def _one_each(journals: Sequence[Journal]) -> list[Journal]:
    """Return one journal for each reviewer: the longer one where one continues the other."""
    by_reviewer: dict[str, Journal] = {}
    for journal in journals:
        first = by_reviewer.setdefault(journal.reviewer, journal)
        short, long = sorted((first, journal), key=lambda each: len(each.lines))
        if long.lines[: len(short.lines)] != short.lines:
            raise UnusableInputError(
                f"{journal.path}: reviewer {journal.reviewer!r} has another journal of the same "
                f"review, {first.path}, and neither continues the other; name the one that counts"
            )
        by_reviewer[journal.reviewer] = long
    return [replace(journal) for journal in by_reviewer.values()]


def _decided(cell: int, journals: Sequence[Journal]) -> Settled | None:
    """Return the decision on a cell that somebody settled; None if the reviewers disagree."""
    for tables in ([journal.over for journal in journals], [j.settled for j in journals]):
        said = [
            (table[cell], journal.reviewer)
            for table, journal in zip(tables, journals, strict=True)
            if cell in table
        ]
        if said:
            values = {decision.value for decision, _ in said}
            if len(values) > 1:
                return None
            reviewers = tuple(reviewer for _, reviewer in said)
            return Settled(values.pop(), reviewers, max(decision.at for decision, _ in said))
    return None


def _doubts(planted: Sequence[int], journals: Sequence[Journal], review: Review) -> tuple[int, ...]:
    result = []
    for number in planted:
        cell = review.cells[number]
        said = {journal.settled[number].value for journal in journals if number in journal.settled}
        if said - {cell.shown, cell.read, CANT_TELL}:
            result.append(number)
    return tuple(result)


def kinds_of(review: Review) -> dict[str, int]:
    """Count the cells by kind."""
    counted = Counter(cell.kind for cell in review.cells)
    return {kind: counted[kind] for kind in (DOUBTFUL, SAMPLE, PLANTED)}
