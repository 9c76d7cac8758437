"""The header of a CSV is found, or refused with the flag that fits."""

from __future__ import annotations

import pytest
from csv_sources import HEADER, MIB, PIXELS, line, read, refusal, scored, source_of

from batchdigits.errors import UnusableInputError, UsageError


def test_a_header_alone_has_no_rows():
    for text in (HEADER, HEADER + "\n", HEADER + "\r\n", HEADER + "\n\n \n"):
        source = source_of(text)
        assert read(source) == []
        assert source.schema.names == ["id"]
    assert source._cutter.tail_lines == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\ufeff", "is empty"),
        ("\n" + HEADER, "blank"),
        (HEADER.encode("utf-16"), "UTF-8"),
        (HEADER.encode("utf-16-le"), "UTF-8"),
        ("é,".encode("latin-1") + HEADER.encode(), "--encoding cp1252"),
        (",".join(PIXELS[:63]), "missing 'pixel_63'"),
        (",".join([*PIXELS, "pixel_64"]), "65 pixel columns"),
        (",".join([*PIXELS, "a", "a"]), "'a'"),
        ("id,pixels", "no list columns"),
        ('"id,' + HEADER, "quote"),
        (b"x" * (MIB + 9), "longer than 1 MiB"),
        (",".join(["form7", *["3"] * 64]), "--pixels 'column_{2..65}'"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(text, said):
    """One line that names the input and what was found, as unusable input (exit code 65)."""
    kind, message = refusal(text)
    assert kind is UnusableInputError
    assert said in message


@pytest.mark.parametrize("row", [["5"] * 64, ["0.5"] * 65, ["-1", "1e3", "", *["2"] * 62]])
def test_a_first_line_of_numbers_asks_for_no_header(row):
    kind, message = refusal(",".join(row))
    assert kind is UnusableInputError
    assert "--no-header" in message


def test_the_default_header_of_pandas_is_a_header():
    """0 … 63, each once, in any order and beside other columns."""
    names = [str(i) for i in reversed(range(64))]
    ids, pixels, rejects = scored(",".join(["id", *names]) + "\na," + ",".join(map(str, [3] * 64)))
    assert (ids, rejects) == (["a"], [])
    assert pixels == [[3] * 64]


@pytest.mark.parametrize(
    ("delimiter", "typed"), [(";", "';'"), ("\t", "'\\t'"), (" ", "' '"), ("|", "'|'")]
)
def test_another_delimiter_is_named_and_works_when_given(delimiter, typed):
    text = HEADER.replace(",", delimiter) + "\n" + line("007", delimiter=delimiter) + "\n"
    kind, message = refusal(text)
    assert kind is UnusableInputError
    assert f"--delimiter {typed}" in message
    assert scored(text, delimiter=typed.strip("'")) == (["007"], [[1] * 64], [])


def test_a_comma_is_named_when_another_delimiter_was_given():
    assert "--delimiter ','" in refusal(HEADER, delimiter=";")[1]


@pytest.mark.parametrize("delimiter", ["", "ab", "5", "x", '"', "\n", "§", ".", "-"])
def test_what_cannot_delimit_is_a_usage_error(delimiter):
    assert refusal(HEADER, delimiter=delimiter)[0] is UsageError


def test_a_header_may_be_quoted_and_span_lines():
    header = '"i\nd",' + ",".join(f'"{name}"' for name in PIXELS)
    source = source_of(f"\ufeff{header}\n{line('a')}\n")
    assert source.schema.names == ["i\nd"]
    assert source.first_line == 3
    assert [rows.rows for rows in read(source)] == [1]


def test_columns_are_found_by_name_in_any_order():
    names = ["note", *reversed(PIXELS), ""]
    row = ["n", *map(str, reversed([i % 17 for i in range(64)])), "z"]
    source = source_of(",".join(names) + "\n" + ",".join(row))
    (rows,) = read(source)
    assert source.schema.names == ["note", ""]
    assert rows.pixels.tolist() == [[i % 17 for i in range(64)]]
    assert rows.passthrough.to_pylist() == [{"note": "n", "": "z"}]


def test_without_header_the_first_64_columns_are_pixels():
    rows = [["0", *["5"] * 63, "7", "x"], ["0", *["6"] * 63, "8", "y"]]
    text = "".join(",".join(row) + "\n" for row in rows)
    source = source_of(text, header=False)
    (rows,) = read(source)
    assert source.first_line == 1
    assert rows.passthrough.to_pydict() == {"column_65": ["7", "8"], "column_66": ["x", "y"]}
    assert rows.pixels[:, 1].tolist() == [5, 6]


def test_without_header_too_few_columns_are_refused():
    assert "63 columns" in refusal(",".join(["5"] * 63), header=False)[1]


def test_keep_narrows_and_orders_the_other_columns():
    names = ["a", *PIXELS, "b", "c"]
    row = ["1", *["2"] * 64, "3", "4"]
    source = source_of(",".join(names) + "\n" + ",".join(row), keep=("c", "a"))
    (rows,) = read(source)
    assert rows.passthrough.to_pylist() == [{"c": "4", "a": "1"}]
