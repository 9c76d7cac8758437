"""The columns that hold the pixels of a square picture."""

import pytest

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.forms.squares.columns import find_squares, side_of

NUMBERED = [f"pixel{i}" for i in range(784)]
NAMES = {
    "from 0": NUMBERED,
    "from 1": [f"x{i}" for i in range(1, 785)],
    "numbers alone": [str(i) for i in range(784)],
    "row and column": [f"{i}x{j}" for i in range(1, 29) for j in range(1, 29)],
    "row and column with a prefix": [f"p_{i}_{j}" for i in range(28) for j in range(28)],
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_columns_are_found_by_their_numbers_in_any_order(names: list[str]) -> None:
    columns = find_squares(["label", *reversed(names), "q1", "q2"], (), None, "a.csv")
    assert (columns.names, columns.side, columns.is_list) == (tuple(names), 28, False)


def test_a_list_column_is_found_by_its_name_or_named() -> None:
    assert find_squares(["pixels", "label"], ["pixels"], None, "a").names == ("pixels",)
    assert find_squares(["scan", "label"], ["scan"], "scan", "a").is_list


def test_named_columns_take_precedence() -> None:
    both = [*NUMBERED, *(f"x{i}" for i in range(256))]
    assert find_squares(both, (), "x{0..255}", "a.csv").side == 16


@pytest.mark.parametrize(
    ("names", "spec", "message"),
    [
        (["a", "b"], None, "a.csv: no square of pixels among 'a', 'b'; name the columns with"),
        (NUMBERED[:-1], None, "no square of pixels"),
        (NUMBERED + [f"x{i}" for i in range(256)], None, "several sets of pixel columns"),
        (["a", "a"], None, "more than one column is named 'a'"),
        (NUMBERED, "y{0..783}", "--pixels names 784 missing columns: 'y0'"),
        ([f"p{i}" for i in range(64)], None, "holds rows of 8x8 pixels already; give them to"),
    ],
)
def test_columns_without_a_square_are_refused(
    names: list[str], spec: str | None, message: str
) -> None:
    with pytest.raises(UnusableInputError, match=message):
        find_squares(names, (), spec, "a.csv")


def test_a_range_that_is_no_square_is_a_usage_error() -> None:
    for spec in ("pixel{0..782}", "pixel{783..0}"):
        with pytest.raises(UsageError, match="the range must hold a square of numbers"):
            find_squares(NUMBERED, (), spec, "a.csv")


def test_the_side_of_a_square_is_a_whole_number_of_pixels() -> None:
    assert [side_of(count) for count in (784, 36, 25, 783, 0, -1)] == [28, 6, *[None] * 4]
