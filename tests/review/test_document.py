from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from reviews import cell, review_of

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.review.document import Review, decode_pixels, encode_pixels


def test_a_document_reads_as_it_was_written(tmp_path: Path) -> None:
    pixels = np.linspace(0, 16, 64, dtype=np.float32)
    one = cell(3, image=b"\x89PNG\r\n\x1a\n", field=(0, 2), pixels=pixels)
    review = review_of(one, cell(4))
    (tmp_path / "review.json").write_bytes(review.encode())
    again = Review.read(tmp_path)
    assert again.encode() == review.encode()
    assert again.cells[0].image == one.image
    assert (again.cells[0].pixels == pixels).all()
    assert again.digest.startswith("sha256:")


def test_pixels_are_kept_exactly() -> None:
    whole = np.arange(64, dtype=np.uint8) % 17
    odd = np.float32(16) * np.arange(64, dtype=np.float32) / np.float32(255)
    for pixels in (whole, odd):
        assert (decode_pixels(encode_pixels(pixels)) == pixels).all()
    assert len(encode_pixels(whole)) == 88


def test_a_missing_review_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"review.json: no such file; give the folder"):
        Review.read(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"format": 1}',
        b"[" * 100_000,
        b'{"format": 1, "cells": [' + b"{}," * 1_000_000 + b"{}]}",
        json.dumps({"format": 9}).encode(),
    ],
)
def test_a_damaged_document_is_refused_in_one_line(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "review.json").write_bytes(damage)
    with pytest.raises(UnusableInputError, match="review.json: "):
        Review.read(tmp_path)


def test_a_cell_outside_its_file_is_refused(tmp_path: Path) -> None:
    facts = json.loads(review_of(cell(3)).encode())
    facts["cells"][0]["place"] = 1000
    (tmp_path / "review.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(UnusableInputError, match="not a review, or damaged"):
        Review.read(tmp_path)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("cells", "shown", 10),
        ("cells", "shown", -5),
        ("cells", "shown", True),
        ("cells", "read", "3"),
        ("cells", "others", [99]),
        ("cells", "place", 0.5),
        ("files", "path", 5),
        ("files", "accepted", "x"),
        ("files", "accepted", -5),
    ],
)
def test_a_fact_that_no_review_has_is_refused(
    tmp_path: Path, part: str, key: str, value: object
) -> None:
    facts = json.loads(review_of(cell(3)).encode())
    facts[part][0][key] = value
    (tmp_path / "review.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(UnusableInputError, match="not a review, or damaged"):
        Review.read(tmp_path)
