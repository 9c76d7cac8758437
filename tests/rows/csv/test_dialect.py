"""Odd dialects are read like the plain file, and every line keeps its number."""

from __future__ import annotations

import random

import pytest
from csv_sources import HEADER, MIB, PIXELS, Stream, line, read, refusal, scored, source_of

from batchdigits.errors import UsageError
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions

ROWS = [line(f"r{i}", str(i % 10)) for i in range(6)]
BAD = line("bad", "x")
PLAIN = "\n".join([HEADER, *ROWS[:3], BAD, *ROWS[3:]]) + "\n"


def test_lines_before_the_header_are_skipped_and_counted():
    ids, pixels, rejects = scored(PLAIN)
    for title in ("Scanner export 17", "a;b\r\nc", "1797\r64", "\n\n"):
        lines = len(f"{title}\n".splitlines())
        got = scored(f"{title}\n{PLAIN}", skip_lines=lines)
        moved = [(number + lines, *rest) for number, *rest in rejects]
        assert got == (ids, pixels, moved), title


def test_skipping_all_lines_is_refused():
    _, message = refusal(PLAIN, skip_lines=9)
    assert "--skip-lines 9 skips all" in message


def test_comments_anywhere_are_no_rows_and_leave_the_line_numbers():
    ids, pixels, _ = scored(PLAIN)
    lines = PLAIN.splitlines()
    commented = [
        "# made by hand",
        "",
        *lines[:1],
        '#"',
        *lines[1:3],
        " \t# x",
        "#",
        *lines[3:],
        "#",
    ]
    commented.remove("")
    got = scored("\n".join(commented), comment="#")
    assert got[:2] == (ids, pixels)
    assert [number for number, *_ in got[2]] == [commented.index(BAD) + 1]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("most", [1, 7, 1 << 20])
def test_line_numbers_are_those_of_the_file_however_it_is_cut(end, most):
    choice = random.Random(7)  # noqa: S311
    lines, wanted = ["# head", HEADER], []
    for i in range(300):
        kind = choice.choice(["row", "comment", "bad", "blank", "many"])
        if kind in ("bad", "blank"):
            wanted.append(len(lines) + 1)
        lines += {
            "row": [line(f"r{i}", "3")],
            "comment": ["# note"],
            "bad": [line("b", "x")],
            "blank": [""],
            "many": ["#"] * 40,
        }[kind]
    lines += [line("last"), "# end", "", "#"]
    data = end.join(lines).encode()
    pieces = [data[at : at + most] for at in range(0, len(data), most)]
    options = ReadOptions(comment="#")
    source = CsvSource(Stream(*pieces), options, "x.csv", 3000)
    rejected, count, at = [], 0, source.first_line
    for rows in read(source):
        rejected += [at + reject.line for reject in rows.rejects]
        if rows.good_lines is not None:
            assert all(lines[at + offset - 1][0] in "rl" for offset in rows.good_lines)
        at, count = at + rows.lines, count + rows.rows
    assert rejected == wanted
    source.verify(count, at - source.first_line)


def test_columns_aligned_with_blanks_are_read():
    values = [[str((i * j) % 17) for j in range(64)] for i in range(5)]
    aligned = "".join(" ".join(f"{v:>3}" for v in row) + "  \n" for row in values)
    _, pixels, rejects = scored(aligned, delimiter="whitespace", header=False)
    assert pixels == [[int(v) for v in row] for row in values]
    assert rejects == []
    named = "  ".join(["who", *PIXELS]) + "\n" + "\t ".join(['"a b"', *values[1]]) + "\n"
    assert scored(named, delimiter="whitespace") == (["a b"], [[int(v) for v in values[1]]], [])


def test_a_quote_left_open_among_aligned_columns_costs_its_line_only():
    lines = [" ".join([name, *["1"] * 64]) for name in ("a", '"b', "c", 'd"', "e")]
    text = "\n".join([HEADER.replace(",", " "), *lines]) + "\n"
    ids, _, rejects = scored(text, delimiter="whitespace")
    assert ids == ["a", "c", 'd"', "e"]
    assert [reject[:2] for reject in rejects] == [(3, "stray-quote")]


def test_a_decimal_comma_is_read_in_pixels_only():
    cells = ["0,0", "5,25", ",5", "16,", "1,3e1", '"6,5"', *["1"] * 58]
    text = HEADER.replace(",", ";") + "\n" + ";".join(["1,5.x", *cells]) + "\n"
    ids, pixels, rejects = scored(text, delimiter=";", decimal=",")
    assert (ids, rejects) == (["1,5.x"], [])
    assert pixels[0][:7] == [0, 5.25, 0.5, 16, 13, 6.5, 1]


@pytest.mark.parametrize("cell", ["5.0", "1.000", "1,5,0", "300,5"])
def test_with_a_decimal_comma_a_point_is_none_and_the_cell_is_shown_as_it_is(cell):
    text = HEADER.replace(",", ";") + "\n" + line("a", "5", ";") + "\n"
    text += ";".join(["b", cell, *["5.0"] * 63]) + "\n"
    ids, _, rejects = scored(text, delimiter=";", decimal=",")
    assert ids == ["a"]
    reason = "out-of-range" if cell == "300,5" else "not-a-number"
    assert rejects[0][0] == 3
    assert rejects[0][1:] in {(reason, "pixel_0", cell), ("not-a-number", "pixel_1", "5.0")}


@pytest.mark.parametrize(
    ("encoding", "word"),
    [("cp1252", "Zoë “€”"), ("latin-1", "é\x85"), ("cp1251", "Иван"), ("shift_jis", "表予")]
    + [("gb18030", "汉字€"), ("mac-roman", "naïve"), ("utf-8-sig", "é"), ("euc_kr", "한글")],
)
def test_text_of_another_encoding_becomes_utf_8(encoding, word):
    text = "\n".join([f"{word}," + HEADER, f"{word},{line('a')}", f"x,{line(word)}"])
    source = source_of(text.encode(encoding), encoding=encoding)
    (rows,) = read(source)
    assert rows.passthrough.to_pydict() == {word: [word, "x"], "id": ["a", word]}


def test_a_byte_that_the_encoding_lacks_costs_its_row_only():
    data = "\n".join([HEADER, line("é"), line("?"), line("b")]).encode("cp1252")
    ids, _, rejects = scored(data.replace(b"?", b"\x81"), encoding="cp1252")
    assert ids == ["é", "b"]
    assert [reject[:2] for reject in rejects] == [(3, "bad-encoding")]


def test_a_line_over_the_limit_is_one_reject_in_every_dialect():
    text = "\n".join(["# c", HEADER, line("a"), "#" * 9, "x" * (2 * MIB), "# d", line("b")])
    _, pixels, rejects = scored(text, comment="#")
    assert len(pixels) == 2
    assert rejects == [(5, "line-too-long", None, None)]


@pytest.mark.parametrize(
    "wrong",
    [{"decimal": ","}, {"decimal": "x"}, {"comment": "##"}, {"comment": "5"}, {"comment": ","}]
    + [{"comment": '"'}, {"skip_lines": -1}, {"encoding": "utf-16"}, {"encoding": "utf-7"}]
    + [{"encoding": name} for name in ("nope", "rot13", "base64", "unicode_escape", "cp037", "a\0")]
    + [{"encoding": name} for name in ("idna", "punycode", "raw_unicode_escape", "hz", "")],
)
def test_a_dialect_that_can_not_be_is_a_usage_error(wrong):
    with pytest.raises(UsageError, match="--"):
        ReadOptions(**wrong).checked()


@pytest.mark.parametrize("name", ["UTF-8", "utf8", "latin1", "cp1252", "ascii", "SJIS"])
def test_an_encoding_gets_its_usual_name(name):
    assert ReadOptions(encoding=name).checked().encoding in {
        *("utf-8", "iso8859-1", "cp1252", "ascii", "shift_jis")
    }


def test_options_in_a_receipt_are_read_back_and_older_ones_had_none():
    options = ReadOptions(delimiter=";", skip_lines=2, comment="#", decimal=",", encoding="cp1252")
    assert ReadOptions.of_facts(options.facts()) == options
    older = {name: ReadOptions().facts()[name] for name in ("pixels", "header", "delimiter")}
    assert ReadOptions.of_facts({**older, "scale": None, "keep": None}) == ReadOptions()
    assert options.words()[-8:] == [
        *("--skip-lines", "2", "--comment", "#", "--decimal", ",", "--encoding", "cp1252")
    ]
