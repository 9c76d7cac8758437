"""A file that needs flags is refused with all of them, and is read right with exactly those."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest
from csv_sources import PIXELS, refusal, scored

from batchdigits.cli.flags import Parser, add_row_options
from batchdigits.rows.csv.advice import likely_encoding
from batchdigits.rows.options import ReadOptions

ROWS = [[(i * 7 + j * 3) % 17 if j else 0 for j in range(64)] for i in range(8)]


def table(names=PIXELS, delimiter=",", write=str, end=""):
    header = [delimiter.join(names) + end] if names else []
    rows = [delimiter.join(map(write, row)) + end for row in ROWS]
    return "\n".join([*header, *rows, ""])


def flags_of(message):
    """The options that a message asks for, as a shell would pass them."""
    words = shlex.split(re.search(r": use (--[^:]*?)(?:; with that.*)?$", message).group(1))
    parser = Parser()
    add_row_options(parser.add_argument_group("rows"))
    return ReadOptions.of_flags(parser.parse_args(words)).checked()


CASES = {
    "title": ("Export of May\n" + table(), "--skip-lines 1"),
    "padded title": (f"Export 17{',' * 63}\n" + table(), "--skip-lines 1"),
    "counts": ("8 64\n" + table(None, " "), "--skip-lines 1 --delimiter ' ' --no-header"),
    "sep=": ("sep=;\n" + table(delimiter=";"), "--skip-lines 1 --delimiter ';'"),
    "blank lines": ("\n\n" + table(), "--skip-lines 2"),
    "comments": ("# a\n#\n" + table(), "--comment '#'"),
    "percent": ("% a\n% b\n" + table(None), "--comment % --no-header"),
    "numpy's header": ("# " + table(), "--comment '#' --no-header"),
    "semicolons": (table(delimiter=";"), "--delimiter ';'"),
    "tabs": (table(delimiter="\t"), r"--delimiter '\t'"),
    "decimal commas": (
        table(delimiter=";", write=lambda v: f"{v},0"),
        "--delimiter ';' --decimal ','",
    ),
    "aligned": (table(None, "", "{:4}".format), "--delimiter whitespace --no-header"),
    "names of their own": (table([f"f{i:03}" for i in range(64)]), "--pixels 'f{000..063}'"),
    "letters in another case": (table([p.upper() for p in PIXELS]), "--pixels 'PIXEL_{0..63}'"),
    "a grid": (
        table([f"r{i}c{j}" for i in range(8) for j in range(8)]),
        f"--pixels {','.join(f'r{i}c{j}' for i in range(8) for j in range(8))}",
    ),
    "ARFF": (
        "@relation digits\n\n" + "@attribute a{1..9}\n" * 9 + "@data\n" + table(None),
        "--skip-lines 12 --no-header",
    ),
    "all at once": (
        "# made 2026\n"
        + table([f"in {i}" for i in range(64)], ";", lambda v: f"{v},5"[:-2] + ",0"),
        "--comment '#' --delimiter ';' --decimal ',' --pixels 'in {0..63}'",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_right_with_the_flags_that_its_refusal_names(case):
    text, flags = CASES[case]
    _, message = refusal(text)
    assert message.endswith(f": use {flags}"), message
    options = flags_of(message)
    given = {name: getattr(options, name) for name in options.facts()}
    assert scored(text, **given)[1:] == (ROWS, [])


def test_a_file_that_only_lacks_a_header_is_read_with_the_flag_that_its_refusal_names():
    _, message = refusal(table(None))
    assert message.endswith("whose first 64 columns are the pixels, use --no-header")
    assert scored(table(None), header=False)[1:] == (ROWS, [])


def test_flags_that_were_given_are_kept():
    text = "title\n" + table(delimiter=";", write=lambda v: f"{v},0")
    _, message = refusal(text, delimiter=";")
    assert message.endswith(": use --skip-lines 1 --decimal ','")
    _, message = refusal("title\nmore\n" + table(), skip_lines=1)
    assert message.endswith(": use --skip-lines 2")


def test_decimal_commas_show_although_the_header_is_right():
    text = table(delimiter=";", write=lambda v: f"{v},0")
    _, message = refusal(text, delimiter=";")
    assert message.endswith("its decimal sign is a comma: use --decimal ','")


def test_what_is_still_wrong_with_the_flags_is_said_too():
    text = table([f"a{i}" for i in range(1, 65)], ";").replace("a1;", "b;").replace("a40;", "c;")
    _, message = refusal(text)
    assert "use --delimiter ';'; with that: 62 of the 64 pixel columns a1 … a64" in message
    assert "missing 'a1', 'a40'" in message


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("cp1252", ["Zoë", "Müller", "naïve"]),
        ("cp1251", ["Иванова", "Пётр"]),
        ("latin-1", ["é\x81"]),
    ]
    + [("gb18030", ["汉字汉字", "数字"])],
)
def test_the_likely_encoding_is_named(encoding, words):
    text = ",".join(["name", *PIXELS]) + "\n"
    text += "".join(",".join([word, *["3"] * 64]) + "\n" for word in words)
    data = text.encode(encoding)
    _, message = refusal(data)
    named = re.search(r"use --encoding (\S+)$", message).group(1)
    assert data.decode(named) == text
    ids, _, rejects = scored(data, encoding=named)
    assert (ids, rejects) == (words, [])


def test_utf_8_and_binary_have_no_likely_encoding():
    for text in (b"abc\n", "é\n".encode(), "é\nü".encode()[:-1], b"\0\xff\n"):
        assert likely_encoding(text) is None


def test_a_file_with_one_good_row_is_never_refused_for_its_others():
    text = table() + ",".join(["1,5"] * 64) + "\n" + "#\n"
    assert len(scored(text)[1]) == len(ROWS)
    bad = ",".join(['"1,5"'] * 64)
    good = ",".join(["1"] * 64)
    assert len(scored("\n".join([",".join(PIXELS), bad, bad, good]))[2]) == 2
    assert replace(ReadOptions(), decimal=",") != ReadOptions()
