"""From where on a prediction goes to review: the manifest's `thresholds`, parsed once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from batchdigits.archive.classes import wrong_fact


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What a row must have for its prediction to be accepted; None where a bundle does not say.

    review_below   the least confidence, 0..1
    least_ink      the least sum of the 64 pixels, `most_ink` the most
    least_darkest  the least that the darkest pixel may be, 0..16
    strange_above  the largest distance to the nearest usual digit, in pixels (0..16 each)
    """

    review_below: float | None = None
    least_ink: float | None = None
    most_ink: float | None = None
    least_darkest: float | None = None
    strange_above: float | None = None


def parse_thresholds(value: Any) -> Thresholds:
    """The thresholds in a manifest; keys that this version does not know are ignored.

    Raises BundleError for a value that can't be a threshold.
    """
    if not isinstance(value, dict):
        raise wrong_fact("thresholds", value, "an object")
    for key in (one.name for one in fields(Thresholds)):
        number = value.get(key)
        if number is not None and (type(number) not in (int, float) or number < 0):
            raise wrong_fact(f"thresholds.{key}", number, "a number from 0")
    known = Thresholds(**{one.name: value.get(one.name) for one in fields(Thresholds)})
    if known.review_below is not None and known.review_below > 1:
        raise wrong_fact("thresholds.review_below", known.review_below, "a number in 0..1")
    return known
