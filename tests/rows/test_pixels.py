"""Pixel columns are found by name, and never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import (
    SPELLINGS,
    PixelColumns,
    find_pixels,
    parse_pixel_spec,
    refuse_reserved,
    select_passthrough,
)

NAMES = [f"pixel_{i}" for i in range(64)]


@given(st.data())
def test_every_known_spelling_is_found_in_any_order(data: st.DataObject) -> None:
    """Columns are mapped by name: wherever they stand, pixel order comes back."""
    spelling = data.draw(st.sampled_from(SPELLINGS))
    others = data.draw(st.lists(st.sampled_from(["id", "form", "größe", ""]), unique=True))
    columns = data.draw(st.permutations([*spelling.names, *others]))
    assert find_pixels(columns, None, "f.csv").names == spelling.names


def test_a_list_column_is_found() -> None:
    found = find_pixels(["id", "pixels"], None, "f.parquet")
    assert found == PixelColumns(("pixels",))
    assert found.is_list


@given(st.integers(0, 63))
def test_one_missing_pixel_is_named(missing: int) -> None:
    columns = [name for name in NAMES if name != f"pixel_{missing}"]
    with pytest.raises(UnusableInputError, match=rf"63 of the 64 .* missing 'pixel_{missing}';"):
        find_pixels(columns, None, "f.csv")


def test_a_65th_pixel_is_named() -> None:
    with pytest.raises(UnusableInputError, match="65 pixel columns.*'pixel_64'"):
        find_pixels([*NAMES, "pixel_64"], None, "f.csv")


def test_one_based_columns_of_a_zero_based_spelling_are_refused_not_shifted() -> None:
    """p1 … p64 may mean many things: the message says which column is missing and which extra."""
    with pytest.raises(UnusableInputError, match="--pixels 'p{1..64}'"):
        find_pixels([f"p{i}" for i in range(1, 65)], None, "f.csv")


def test_two_complete_spellings_are_ambiguous() -> None:
    columns = [*NAMES, *(f"x{i}" for i in range(64))]
    with pytest.raises(UnusableInputError, match="several sets of pixel columns"):
        find_pixels(columns, None, "f.csv")
    assert find_pixels(columns, "x{0..63}", "f.csv").names[5] == "x5"


def test_no_pixels_at_all_lists_the_columns_and_the_spellings() -> None:
    with pytest.raises(UnusableInputError, match=r"among 'a', 'b'; expected pixel_0 … pixel_63"):
        find_pixels(["a", "b"], None, "f.csv")


def test_doubled_names_are_refused() -> None:
    with pytest.raises(UnusableInputError, match="more than one column is named 'id'"):
        find_pixels(["id", *NAMES, "id"], None, "f.csv")


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [
        ("px{0..63}", "px0", "px63"),
        ("{1..64}_v", "1_v", "64_v"),
        (",".join(f"c{i}" for i in range(64)), "c0", "c63"),
    ],
)
def test_pixel_specs_give_64_names(spec: str, first: str, last: str) -> None:
    names = parse_pixel_spec(spec)
    assert (len(names), names[0], names[-1]) == (64, first, last)


@pytest.mark.parametrize("spec", ["px{0..62}", "a,b", "", "a," * 63 + "a", "{63..0}"])
def test_pixel_specs_that_make_no_sense_are_usage_errors(spec: str) -> None:
    with pytest.raises(UsageError, match="--pixels"):
        parse_pixel_spec(spec)


def test_a_spec_that_names_absent_columns_lists_them() -> None:
    with pytest.raises(UnusableInputError, match="names 64 missing columns: 'q0'"):
        find_pixels(NAMES, "q{0..63}", "f.csv")


def select(columns: list[str], keep: tuple[str, ...] | None = None) -> list[int]:
    pixels = find_pixels(columns, None, "f.csv")
    return select_passthrough(columns, pixels, ReadOptions(keep=keep).select, "f.csv")


def test_everything_else_passes_through_in_the_inputs_order() -> None:
    assert select(["id", *NAMES, "", "form"]) == [0, 65, 66]


def test_keep_narrows_and_orders() -> None:
    assert select(["id", *NAMES, "form"], keep=("form", "id")) == [65, 0]
    assert select(["id", *NAMES], keep=()) == []


def test_keep_of_an_unknown_column_lists_the_known() -> None:
    with pytest.raises(UnusableInputError, match="--keep names the unknown column 'idd'.*are: id"):
        select(["id", *NAMES], keep=("idd",))


def test_a_column_named_like_an_output_column_is_refused() -> None:
    reserved = frozenset({"prediction"})
    with pytest.raises(UnusableInputError, match="'prediction' has the name of an output column"):
        refuse_reserved(["prediction", "id"], reserved, "f.csv")
    refuse_reserved(["id"], reserved, "f.csv")
