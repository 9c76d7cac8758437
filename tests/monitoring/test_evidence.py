"""A count is proof exactly where the tail of the binomial distribution says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.monitoring.binomial import tail
from batchdigits.monitoring.evidence import CHANCE, Evidence, is_proof

SHARES = st.sampled_from([0.15, 0.25, 0.3, 0.4, 0.5, 0.9])


@given(st.integers(1, 400), st.floats(0, 1), SHARES)
def test_bounds_decide_as_the_exact_tail_does(rows: int, part: float, share: float) -> None:
    count = round(part * rows)
    exact = count > share * rows and tail(rows - count, rows, 1 - share) <= CHANCE
    assert is_proof(count, rows, share) == exact


def test_the_first_count_that_is_proof_is_that_of_the_exact_test() -> None:
    """Here the bounds are too wide, and the tail itself decides."""
    for rows in (12, 56, 300, 1_024):
        counts = range(rows + 1)
        first = next(n for n in counts if is_proof(n, rows, 0.15))
        assert tail(rows - first, rows, 0.85) <= CHANCE < tail(rows - first + 1, rows, 0.85)


def test_the_counts_of_many_files_are_judged_at_once() -> None:
    """Half of ten million rows, or as many as digits give: neither sums ten million terms."""
    random = np.random.default_rng(0)
    for _ in range(2_000):
        rows = int(random.integers(10**7, 2 * 10**7))
        assert is_proof(rows // 2, rows, 0.15)
        assert not is_proof(int(0.15 * rows) + 1, rows, 0.15)


def test_evidence_adds_up_and_comes_back_from_its_facts() -> None:
    first = Evidence(rows=3, empty=1, odd=2, looks={"inverted (white on black)": 2})
    second = Evidence(rows=4, faint=1, heavy=1, looks={"transposed (column by column)": 1})
    both = first + second
    assert (both.rows, both.inked, both.drawn, both.odd) == (7, 6, 5, 2)
    assert both.looks == {**second.looks, **first.looks}
    assert Evidence.of_facts(both.facts()) == both
    for damage in ({"rows": "7"}, {"odd": None}, {"looks": []}, {"empty": -1}, {"flat": 1.5}):
        with pytest.raises(ValueError, match="evidence"):
            Evidence.of_facts(both.facts() | damage)
