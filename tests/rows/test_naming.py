"""Names that are numbered through are recognised, whatever their prefix."""

from __future__ import annotations

import pytest

from batchdigits.rows.naming import (
    incomplete_pixels,
    named_images,
    other_images,
    suggested_specs,
)
from batchdigits.rows.pixels import find_pixels, parse_pixel_spec


@pytest.mark.parametrize(
    "names",
    [
        [f"f{i:03}" for i in range(64)],
        [f"V{i:02}" for i in range(1, 65)],
        [f"a{i}_px" for i in range(1, 65)],
        [f"{i}" for i in range(100, 164)],
        [f"PIXEL {i}" for i in range(64)],
        [f"x{i}y{j}" for i in range(8) for j in range(8)],
        [f"{i}x{j}" for i in range(1, 9) for j in range(1, 9)],
    ],
)
def test_the_suggested_spec_names_the_columns_in_order(names: list[str]) -> None:
    (spec,) = suggested_specs(["id", *reversed(names), "label"])
    assert parse_pixel_spec(spec) == tuple(names)


def test_nothing_is_suggested_for_other_numbers_of_columns() -> None:
    for count in (1, 63, 65, 784):
        assert suggested_specs([f"f{i}" for i in range(count)]) == []
    assert suggested_specs([f"f{i:0{1 + i % 3}}" for i in range(64)]) == []


@pytest.mark.parametrize("spelling", ["pixel_{:02}", "V{:02}", "{:03}", "p{:04}", "Block {:02}"])
def test_numbers_may_be_padded_in_a_known_spelling(spelling: str) -> None:
    first = 1 if spelling[0] in "VB" else 0
    names = [spelling.format(first + i) for i in range(64)]
    assert find_pixels(["id", *names], None, "x").names == tuple(names)


@pytest.mark.parametrize("names", [[f"{i}" for i in range(1, 65)], [f"V{i}" for i in range(1, 65)]])
def test_columns_counted_from_1_are_found(names: list[str]) -> None:
    assert find_pixels(["id", *names], None, "x").names == tuple(names)


@pytest.mark.parametrize(("columns", "side"), [(784, 28), (785, 28), (266, 16), (1024, 32)])
def test_squares_look_like_larger_images(columns: int, side: int) -> None:
    assert f"{side}x{side}" in str(other_images(columns))


def test_64_columns_with_a_label_or_ten_are_no_larger_images() -> None:
    for columns in (0, 64, 65, 74, 66, 80):
        assert other_images(columns) is None


def test_images_are_recognised_by_their_names() -> None:
    assert "28x28" in str(named_images(["label", *(f"pixel{i}" for i in range(784))]))
    grid = [f"{i}x{j}" for i in range(1, 29) for j in range(1, 29)]
    assert "28x28" in str(named_images(["label", *grid]))
    assert named_images([f"pixel{i}" for i in range(64)]) is None


def test_missing_numbers_are_named() -> None:
    names = [f"a{i:02}" for i in range(1, 65) if i not in (1, 40)]
    assert "62 of the 64 pixel columns a01 … a64, missing 'a01', 'a40'" in str(
        incomplete_pixels(names)
    )
    assert incomplete_pixels([f"a{i}" for i in range(20)]) is None
