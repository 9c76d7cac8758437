from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from reviews import AT, Pen, cell, review_of

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.review.document import PLANTED
from batchdigits.review.journal import CANT_TELL, NOT_A_DIGIT, Decision, read_journal

REVIEW = review_of(cell(0), cell(1), cell(2, kind=PLANTED), cell(3))


def settled(pen: Pen, folder: Path) -> dict[int, int]:
    journal = read_journal(pen.write(folder), REVIEW)
    return {number: decision.value for number, decision in journal.settled.items()}


def test_a_confirmed_screen_settles_its_cells_as_they_are_now(tmp_path: Path) -> None:
    pen = Pen(REVIEW).set(1, "3").confirm([0, 1])
    assert settled(pen, tmp_path) == {0: 7, 1: 3}
    assert read_journal(pen.write(tmp_path), REVIEW).settled[1] == Decision(3, AT)


def test_marks_are_decisions_too(tmp_path: Path) -> None:
    pen = Pen(REVIEW).set(0, "cant-tell").set(1, "not-a-digit").confirm([0, 1])
    assert settled(pen, tmp_path) == {0: CANT_TELL, 1: NOT_A_DIGIT}


def test_undo_goes_back_to_any_depth(tmp_path: Path) -> None:
    pen = Pen(REVIEW).set(0, "3").set(0, "5").confirm([0, 1]).undo().undo().confirm([0])
    assert settled(pen, tmp_path) == {0: 3}
    pen.undo().undo().undo().undo().confirm([0, 1])
    assert settled(pen, tmp_path) == {0: 7, 1: 7}


def test_a_change_on_a_settled_screen_counts(tmp_path: Path) -> None:
    pen = Pen(REVIEW).confirm([0, 1]).set(0, "4")
    assert settled(pen, tmp_path) == {0: 4, 1: 7}
    assert settled(pen.undo(), tmp_path) == {0: 7, 1: 7}


def test_a_planted_cell_slips_once_and_for_all(tmp_path: Path) -> None:
    """Undoing the screen and catching it afterwards does not make the certificate better."""
    pen = Pen(REVIEW).confirm([2]).undo().set(2, "1").confirm([2])
    assert read_journal(pen.write(tmp_path), REVIEW).slipped == {2}
    pen = Pen(REVIEW).set(2, "1").confirm([2])
    assert read_journal(pen.write(tmp_path), REVIEW).slipped == set()


def test_a_line_that_was_cut_off_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Pen(REVIEW).set(1, "3").confirm([0, 1]).write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with caplog.at_level(logging.WARNING, "batchdigits.review"):
        logging.getLogger("batchdigits").propagate = True
        assert read_journal(path, REVIEW).settled == {}
    assert "its last line was cut off" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"n": 1, "at": AT, "do": "set", "cell": 4, "label": "3"}, "the review has no cell 4"),
        ({"n": 1, "at": AT, "do": "set", "cell": -1, "label": "3"}, "the review has no cell -1"),
        (
            {"n": 1, "at": AT, "do": "set", "cell": True, "label": "3"},
            "the review has no cell True",
        ),
        ({"n": 1, "at": AT, "do": "set", "cell": 1, "label": "x"}, "label 'x' is unknown"),
        ({"n": 1, "at": AT, "do": "set", "cell": 1, "label": 6}, "6 is unknown, expected '0'"),
        ({"n": 1, "at": AT, "do": "set", "cell": 1, "mark": "?"}, r"label '\?' is unknown"),
        ({"n": 1, "at": AT, "do": "confirm", "cells": [0, "1"]}, "the review has no cell '1'"),
        ({"n": 2, "at": AT, "do": "undo"}, "its number is 2, expected 1"),
        ({"n": 1, "do": "undo"}, "it is no decision"),
        (["set"], "it is no decision"),
        ("{", "it is no decision"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, line: object, message: str) -> None:
    pen = Pen(REVIEW)
    pen.lines.append(line if isinstance(line, str) else json.dumps(line))
    with pytest.raises(UnusableInputError, match=f"line 2: .*{message}"):
        read_journal(pen.write(tmp_path), REVIEW)


def test_the_journal_of_another_review_is_refused(tmp_path: Path) -> None:
    path = Pen(REVIEW).write(tmp_path)
    path.write_text(path.read_text().replace("sha256:1", "sha256:2"))
    with pytest.raises(UnusableInputError, match="a journal of another review"):
        read_journal(path, REVIEW)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\xff\xfe\n", b'{"journal": 2}\n', b"\n" * 10_000_000]
)
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.journal.jsonl"
    path.write_bytes(content)
    with pytest.raises(UnusableInputError, match="journal"):
        read_journal(path, REVIEW)
    with pytest.raises(NoInputError, match="no such file"):
        read_journal(tmp_path / "absent", REVIEW)
