from __future__ import annotations

import pytest

from batchdigits.monitoring.binomial import most_trials, tail, upper_bound


@pytest.mark.parametrize("level", [0.95, 0.99])
@pytest.mark.parametrize(
    ("errors", "rows"),
    [(0, 1), (0, 540), (1, 2), (3, 20), (19, 20), (10, 3000), (5000, 1_000_000)],
)
def test_the_bound_is_that_of_clopper_and_pearson(errors: int, rows: int, level: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    expected = stats.beta.ppf(level, errors + 1, rows - errors)
    assert upper_bound(errors, rows, level) == pytest.approx(expected, rel=1e-9)


def test_all_wrong_or_nothing_counted_bounds_nothing() -> None:
    assert upper_bound(7, 7, 0.99) == 1.0
    assert upper_bound(0, 0, 0.99) == 1.0


@pytest.mark.parametrize(("found", "chance"), [(0, 0.9), (30, 0.9), (30, 0.61), (400, 0.2)])
def test_the_most_trials_are_the_last_that_explain_what_was_found(
    found: int, chance: float
) -> None:
    stats = pytest.importorskip("scipy.stats")
    most = most_trials(found, chance, 0.99)
    assert most is not None
    assert stats.binom.cdf(found, most, chance) > 0.01 >= stats.binom.cdf(found, most + 1, chance)


def test_someone_who_may_find_nothing_leaves_any_number() -> None:
    assert most_trials(3, 0.0, 0.99) is None
    assert most_trials(0, 1.0, 0.99) == 0


def test_a_tail_is_a_probability() -> None:
    assert tail(5, 5, 0.3) == 1.0
    assert tail(2, 5, 0.0) == 1.0
    assert tail(2, 5, 1.0) == 0.0
    assert tail(0, 3, 0.5) == pytest.approx(0.125)
