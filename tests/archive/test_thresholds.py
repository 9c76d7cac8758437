from __future__ import annotations

from typing import Any

import pytest

from batchdigits.archive.thresholds import Thresholds
from batchdigits.errors import BundleError


def test_what_is_missing_or_unknown_sets_no_threshold() -> None:
    """Older bundles set none, newer ones may set more."""
    facts = {"review_below": 0.9, "least_ink": 100, "later": "thing"}
    assert Thresholds.parse(facts) == Thresholds(review_below=0.9, least_ink=100, facts=facts)
    assert Thresholds.parse({}) == Thresholds()


@pytest.mark.parametrize(
    "facts",
    [
        [],
        {"review_below": 1.1},
        {"review_below": True},
        {"review_below": "0.9"},
        {"most_ink": -1},
        {"strange_above": [20]},
        {"strange_above": 1e308},
        {"most_ink": 10**18},
        {"least_darkest": float("inf")},
        {"review_below": float("nan")},
    ],
)
def test_what_is_no_threshold_is_refused(facts: Any) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json: thresholds"):
        Thresholds.parse(facts)
