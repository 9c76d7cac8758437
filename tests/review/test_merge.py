from __future__ import annotations

from pathlib import Path

import pytest
from reviews import AT, Pen, cell, review_of

from batchdigits.errors import UnusableInputError
from batchdigits.review.document import PLANTED
from batchdigits.review.journal import read_journal
from batchdigits.review.merge import Merged, Settled, kinds_of, merge

REVIEW = review_of(cell(0), cell(1), cell(2, kind=PLANTED), cell(3))


def merged(folder: Path, *pens: Pen) -> Merged:
    return merge([read_journal(pen.write(folder), REVIEW) for pen in pens], REVIEW)


def test_reviewers_who_agree_settle_a_cell_together(tmp_path: Path) -> None:
    ana = Pen(REVIEW, "ana").set(0, "3").confirm([0, 1])
    ben = Pen(REVIEW, "ben").set(0, "3").confirm([0])
    both = merged(tmp_path, ana, ben)
    assert both.settled == {0: Settled(3, ("ana", "ben"), AT), 1: Settled(7, ("ana",), AT)}
    assert both.counts(REVIEW) == {
        "cells": 3, "settled": 2, "changed": 1, "open": 1, "disputed": 0
    }  # fmt: skip


def test_a_disagreement_stays_open_until_it_is_decided(tmp_path: Path) -> None:
    ana = Pen(REVIEW, "ana").set(0, "3").confirm([0, 1])
    ben = Pen(REVIEW, "ben").confirm([0, 1])
    assert merged(tmp_path, ana, ben).disputed == (0,)
    assert 0 not in merged(tmp_path, ana, ben).settled
    ben.settle(0, "3")
    assert merged(tmp_path, ana, ben).settled[0] == Settled(3, ("ben",), AT)
    assert merged(tmp_path, ana.settle(0, "7"), ben).disputed == (0,)


def test_a_planted_cell_is_caught_if_one_of_two_reviewers_catches_it(tmp_path: Path) -> None:
    ana = Pen(REVIEW, "ana").confirm([2])
    ben = Pen(REVIEW, "ben").set(2, "1").confirm([2])
    assert merged(tmp_path, ana).slipped == (2,)
    assert merged(tmp_path, ana, ben).slipped == ()
    assert merged(tmp_path, ana, ben).planted == (2,)
    assert 2 not in merged(tmp_path, ana, ben).settled


def test_a_planted_cell_read_as_a_third_digit_casts_doubt_on_the_model(tmp_path: Path) -> None:
    assert merged(tmp_path, Pen(REVIEW).set(2, "4").confirm([2])).doubts == (2,)
    assert merged(tmp_path, Pen(REVIEW).set(2, "1").confirm([2])).doubts == ()


def test_of_two_journals_of_one_reviewer_the_longer_counts(tmp_path: Path) -> None:
    first = Pen(REVIEW).set(0, "3")
    later = Pen(REVIEW).set(0, "3").confirm([0])
    (tmp_path / "old").mkdir()
    journals = [
        read_journal(first.write(tmp_path / "old"), REVIEW),
        read_journal(later.write(tmp_path), REVIEW),
    ]
    assert merge(journals, REVIEW).settled == {0: Settled(3, ("ana",), AT)}
    other = read_journal(Pen(REVIEW).set(0, "4").confirm([0]).write(tmp_path / "old"), REVIEW)
    with pytest.raises(UnusableInputError, match="'ana' has another journal of the same review"):
        merge([*journals, other], REVIEW)


def test_kinds_are_counted() -> None:
    assert kinds_of(REVIEW) == {"doubtful": 3, "sample": 0, "planted": 1}
