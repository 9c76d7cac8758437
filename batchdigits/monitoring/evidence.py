"""The evidence in judged rows: how many of them are no digits as digits should look.

Each count has a share: the most that clean digits of any writer give. An exact test says whether a
count is beyond its share; the chance that it is wrong about clean digits is below 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from batchdigits.monitoring.binomial import tail
from batchdigits.monitoring.looks import LOOKS

CHANCE = 1e-9
"""The most probability of a false alarm that counts as proof."""

FAR_SHARE = 0.15
"""The largest share of digits, of any writer, that may be faint or of a single shade."""

ROUGH_SHARE = 0.4
"""The largest share of digits that may be rough. Measured: 0.00 to 0.04, for a single class of thin
strokes in black and white up to 0.31; of noise and of shuffled pixels 0.97 to 1.00."""

EMPTY_SHARE = 0.9
"""The largest share of empty boxes on forms that somebody has filled in."""

MANY_ODD = 0.1
"""A share of odd rows above this, beyond chance, is a warning."""

HEAVY_SHARE = 0.5
"""The largest share of digits that may be bold."""


class Finding(NamedTuple):
    """A count that digits don't give: what the rows look like, and what to do.

    name    the count in `Evidence`, or the look
    share   the largest share of clean digits with this name
    """

    name: str
    share: float
    words: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Counts of judged rows; those of several files add up.

    rows   judged rows
    empty  rows with next to no ink
    faint  digits of far too little contrast
    heavy  rows of far too much ink
    flat   rows of a single shade
    rough  rows whose neighbouring pixels have little in common, as in noise
    odd    rows with ink that are strange, or have less or more ink than a digit has
    looks  rows with ink by look: strange as they are, and usual if corrected; without looks that
           no row has
    """

    rows: int = 0
    empty: int = 0
    faint: int = 0
    flat: int = 0
    heavy: int = 0
    rough: int = 0
    odd: int = 0
    looks: Mapping[str, int] = field(default_factory=dict)

    @property
    def inked(self) -> int:
        """The judged rows that are not empty."""
        return self.rows - self.empty

    @property
    def drawn(self) -> int:
        """The judged rows that show a drawing."""
        return self.inked - self.faint - self.flat

    @property
    def is_odd(self) -> bool:
        """Whether any row counts for a finding."""
        counts = (self.empty, self.faint, self.flat, self.heavy, self.rough)
        return any(counts) or bool(self.looks)

    def __add__(self, other: Evidence) -> Evidence:
        looks = {
            look.name: self.looks.get(look.name, 0) + other.looks.get(look.name, 0)
            for look in LOOKS
            if look.name in self.looks or look.name in other.looks
        }
        numbers = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return Evidence(**numbers, looks=looks)

    def facts(self) -> dict[str, Any]:
        """Return the counts as receipts hold them."""
        return {name: getattr(self, name) for name in _NUMBERS} | {"looks": dict(self.looks)}

    @classmethod
    def of_facts(cls, facts: Any) -> Self:
        """Read the counts in a receipt. Raises ValueError for others than `facts` writes."""
        match facts:
            case {"looks": dict() as looks, **others}:
                numbers: dict[str, Any] = {name: others.get(name) for name in _NUMBERS}
                counts = (*numbers.values(), *looks.values())
                if all(type(count) is int and count >= 0 for count in counts):
                    made = cls(**numbers, looks=looks)
                    parts = (made.heavy, made.rough, *looks.values())
                    if made.odd <= made.inked and max(parts) <= made.drawn:
                        return made
        raise ValueError("a count of its evidence is missing, of another type or too large")

    def count(self, name: str) -> tuple[int, int]:
        """Return a count by its name, and the number of rows that it is a part of."""
        if name == "empty":
            return self.empty, self.rows
        if name in ("faint", "flat"):
            return getattr(self, name), self.inked
        if name in ("rough", "heavy"):
            return getattr(self, name), self.drawn
        return self.looks.get(name, 0), self.drawn

    def finding(self) -> Finding | None:
        """Return what proves that the rows are not upright digits; None without proof."""
        by_count = sorted(_LOOK_FINDINGS, key=lambda finding: -self.count(finding.name)[0])
        for finding in (*by_count, *_OTHER_FINDINGS):
            count, rows = self.count(finding.name)
            # With every row empty there is nothing to score: no share of boxes explains that.
            is_all_empty = finding.name == "empty" and count == rows
            if is_proof(count, rows, FAR_SHARE if is_all_empty else finding.share):
                words = finding.words.format(count=count, rows=rows, percent=100 * count / rows)
                return Finding(finding.name, finding.share, words)
        return None

    @property
    def is_near_proof(self) -> bool:
        """Whether a count is beyond a third of its share."""
        findings = (*_LOOK_FINDINGS, *_OTHER_FINDINGS)
        counts = ((*self.count(finding.name), finding.share) for finding in findings)
        return any(3 * count > share * rows for count, rows, share in counts)

    def has(self, finding: Finding) -> bool:
        """Tell whether these rows have more of what was found than digits have."""
        count, rows = self.count(finding.name)
        return count > finding.share * rows


_NUMBERS = [entry.name for entry in fields(Evidence) if entry.name != "looks"]

_LOOK_FINDINGS = tuple(
    Finding(
        look.name,
        look.share,
        f"looks {look.name}: {{count:,}} of {{rows:,}} sampled rows with ink are far from the "
        f"training data as they are, and close to it if corrected; {look.fix}",
    )
    for look in LOOKS
)

_OTHER_FINDINGS = (
    Finding(
        "faint",
        FAR_SHARE,
        "looks faint: {count:,} of {rows:,} sampled rows with ink are digits of far less contrast "
        "than the training data, as if scaled wrongly; give the largest value that a pixel can "
        "have with --scale MAX",
    ),
    Finding(
        "flat",
        FAR_SHARE,
        "looks like no digits: {count:,} of {rows:,} sampled rows with ink are of a single shade; "
        "check how the cells were cut out, and which columns hold the pixels (--pixels)",
    ),
    Finding(
        "heavy",
        HEAVY_SHARE,
        "looks too bold: {count:,} of {rows:,} sampled rows with ink have more than twice the ink "
        "of the training data; check how cells were made black and white, and cut out",
    ),
    Finding(
        "rough",
        ROUGH_SHARE,
        "looks like noise: in {count:,} of {rows:,} sampled rows with ink neighbouring pixels "
        "have little in common; check which columns hold the pixels, and in which order (--pixels)",
    ),
    Finding(
        "empty",
        EMPTY_SHARE,
        "looks blank: {percent:.4g} % of {rows:,} sampled rows have next to no ink; check how the "
        "cells were cut out, and which columns hold the pixels (--pixels)",
    ),
)


def is_proof(count: int, rows: int, share: float) -> bool:
    """Tell whether a count of rows is beyond a share of all, by the exact binomial test.

    The tail is summed only near the limit. Elsewhere its bounds decide: it is at most e^-nD, and
    at least e^-nD / (n + 1), with D the relative entropy of the two shares (Cover and Thomas,
    "Elements of information theory", 11.1).
    """
    if count <= share * rows:
        return False
    seen = count / rows
    entropy = seen * math.log(seen / share)
    if count < rows:
        entropy += (1 - seen) * math.log((1 - seen) / (1 - share))
    bound = rows * entropy + math.log(CHANCE)
    if bound >= 0:
        return True
    return bound > -math.log(rows + 1) and tail(rows - count, rows, 1 - share) <= CHANCE
