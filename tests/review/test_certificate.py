from __future__ import annotations

import numpy as np
import pytest
from reviews import Pen, cell, review_of

from batchdigits.review.certificate import LEVEL, bound, certify
from batchdigits.review.document import PLANTED, SAMPLE
from batchdigits.review.journal import read_journal
from batchdigits.review.merge import merge


def bounds(**counts: int) -> tuple[int | None, int | None]:
    given = {
        "planted": 0, "caught": 0, "settled": 0, "changed": 0, "accepted": 0, "sampled": 0,
        "sample_errors": 0, **counts,
    }  # fmt: skip
    certificate = bound(**given)
    return certificate.errors_left_at_most, certificate.accepted_errors_at_most


def test_the_bound_on_missed_cells_is_that_of_the_binomial_tails() -> None:
    """By hand: of 100 planted cells all were caught, 30 of 300 cells were changed."""
    stats = pytest.importorskip("scipy.stats")
    missed = 1 - 0.005 ** (1 / 100)
    most = max(m for m in range(30, 300) if stats.binom.cdf(30, m, 1 - missed) > 0.005)
    assert bounds(planted=100, caught=100, settled=300, changed=30)[0] == most - 30


def test_without_planted_cells_nothing_is_bounded() -> None:
    assert bounds(settled=300, changed=30, accepted=900, sampled=100) == (None, None)


def test_a_reviewer_who_caught_nothing_may_have_missed_everything() -> None:
    left, accepted = bounds(planted=5, settled=300, changed=0, accepted=900, sampled=100)
    assert (left, accepted) == (300, None)


def test_more_planted_cells_and_a_larger_sample_prove_more() -> None:
    few = bounds(planted=20, caught=20, settled=300, changed=30, accepted=9000, sampled=100)
    many = bounds(planted=200, caught=200, settled=300, changed=30, accepted=9000, sampled=1000)
    assert few > many
    assert few[1] > many[1]  # type: ignore[operator]


def test_the_bounds_hold_as_often_as_they_say() -> None:
    """A reviewer who misses 10 %, 400 reviews: both bounds together fail in hardly any."""
    random, held = np.random.default_rng(5), 0
    for _ in range(400):
        wrong, wrong_accepted = random.binomial(300, 0.15), random.binomial(5000, 0.004)
        changed = random.binomial(wrong, 0.9)
        in_sample = random.hypergeometric(wrong_accepted, 5000 - wrong_accepted, 300)
        found = random.binomial(in_sample, 0.9)
        left, accepted = bounds(
            planted=40, caught=int(random.binomial(40, 0.9)), settled=300, changed=int(changed),
            accepted=5000, sampled=300, sample_errors=int(found),
        )  # fmt: skip
        assert left is not None
        assert accepted is not None
        held += wrong - changed <= left and wrong_accepted - found <= accepted
    assert held >= 400 * (1 - 2 * (1 - LEVEL))


def test_a_sample_counts_only_as_a_whole(tmp_path) -> None:
    review = review_of(cell(0), cell(1, kind=SAMPLE), cell(2, kind=SAMPLE), cell(3, kind=PLANTED))
    pen = Pen(review).set(0, "2").set(3, "1").confirm([0, 1, 3])
    half = certify(merge([read_journal(pen.write(tmp_path), review)], review), review)
    assert (half.sampled, half.accepted_errors_at_most) == (0, None)
    pen.set(2, "5").confirm([2])
    whole = certify(merge([read_journal(pen.write(tmp_path), review)], review), review)
    assert (whole.sampled, whole.sample_errors, whole.planted, whole.caught) == (2, 1, 1, 1)
    assert (whole.settled, whole.changed) == (1, 1)
