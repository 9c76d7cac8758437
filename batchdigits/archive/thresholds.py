"""The manifest's `thresholds`: where predictions go to review."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from batchdigits.archive.classes import wrong_fact
from batchdigits.images import DARKEST, PIXELS


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The values a row must have for its prediction to be accepted; None accepts any value.

    review_below   the least confidence, 0..1
    least_ink      the least sum of the 64 pixels, `most_ink` the most
    least_darkest  the least value of the darkest pixel, 0..16
    strange_above  the largest distance to the nearest usual digit, in pixels (0..16 each)
    facts          the manifest's object as it is: the thresholds, and how train found them
    """

    review_below: float | None = None
    least_ink: float | None = None
    most_ink: float | None = None
    least_darkest: float | None = None
    strange_above: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def decide(self) -> bool:
        """Whether a row can go to review without a measure of its strangeness."""
        limits = (self.review_below, self.least_ink, self.most_ink, self.least_darkest)
        return any(limit is not None for limit in limits)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Parse the manifest's `thresholds`, unknown keys allowed. Raises BundleError if wrong."""
        if not isinstance(value, dict):
            raise wrong_fact("thresholds", value, "an object")
        numbers = {name: value.get(name) for name in _NUMBERS}
        for name, number in numbers.items():
            if number is not None and not _is_threshold(number):
                raise wrong_fact(f"thresholds.{name}", number, f"a number in 0..{_BLACK}")
        below = numbers["review_below"]
        if below is not None and below > 1:
            raise wrong_fact("thresholds.review_below", below, "a number in 0..1")
        return cls(**numbers, facts=value)


_BLACK = PIXELS * DARKEST
"""The ink of a black cell; no confidence, ink or distance is larger."""


def _is_threshold(number: Any) -> bool:
    return type(number) in (int, float) and 0 <= number <= _BLACK


_NUMBERS = [entry.name for entry in fields(Thresholds) if entry.name != "facts"]
