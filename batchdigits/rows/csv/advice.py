"""The flags that a file seems to need, from its first lines: for messages, never to read it by.

A guess is tried out before it is given: with those flags the first rows can be scored, or the
message names what is wrong then.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product

from batchdigits.images import PIXELS
from batchdigits.rows.csv.dialect import CHUNK, Gaps, with_tabs, without_comments
from batchdigits.rows.csv.lines import LINE_END
from batchdigits.rows.csv.values import NUMBER, pixel_text
from batchdigits.rows.naming import suggested_specs
from batchdigits.rows.options import UTF8, WHITESPACE, ReadOptions, delimiter_byte
from batchdigits.text import count_of

Try = Callable[[bytes, ReadOptions], str | None]
"""Tells why a file that begins with these bytes can't be read with these options; None if it can,
empty if it can but none of the first rows can be scored."""

DELIMITERS = (",", ";", "\t", "|", " ", WHITESPACE)
COMMENTS = "#%/!;*>"
SAMPLED = 300  # lines
NEARLY_ALL = PIXELS - 2
SHOWN = 40  # characters of a line


@dataclass(frozen=True, slots=True)
class _Body:
    """The first row of numbers, and how its cells are parted."""

    line: int
    delimiter: str
    decimal: str


def advise(head: bytes, options: ReadOptions, try_out: Try, *, sure: bool) -> str | None:
    """Say what the file looks like and which flags it needs; None without an idea.

    None also for a file that only lacks a header: its refusal says that with more care.

    head     the first bytes of the text, as they were read with `options`
    try_out  see `Try`
    sure     the header is right: give only advice on cells with which the first rows can be scored
    """
    if b"\0" in head or (len(head) >= CHUNK and LINE_END.search(head) is None):
        return None
    text, options_then = head, options
    if options.encoding == UTF8 and (encoding := likely_encoding(head)) is not None:
        text = head.decode(encoding, "replace").encode()
        options_then = replace(options, encoding=encoding)
    tried: list[tuple[str, ReadOptions]] = []
    for changed, rest in _guesses(text, options_then):
        if changed == options or (sure and not _only_of_cells(changed, options)):
            continue
        problem = try_out(rest, changed)
        if problem is None:
            only_header = changed == replace(options, header=False)
            return None if only_header else _message(text, options, changed, "")
        tried.append((problem, changed))
    if sure or not tried:
        return None
    problem, changed = min(tried, key=lambda each: bool(each[0]))
    return _message(text, options, changed, problem)


def _only_of_cells(changed: ReadOptions, options: ReadOptions) -> bool:
    cells = replace(options, encoding=changed.encoding, decimal=changed.decimal)
    return changed == cells


def likely_encoding(head: bytes) -> str | None:
    """The likely encoding of text that is not UTF-8; None if it is, or is no text."""
    whole = head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1] or head
    if whole.isascii() or b"\0" in whole or _decodes(whole, UTF8):
        return None
    high = [i for i, byte in enumerate(whole) if byte >= 0x80]
    alone = sum(i + 1 >= len(whole) or whole[i + 1] < 0x80 for i in high)
    western = ("cp1252", "latin-1")
    # Western letters stand among ASCII ones; of other scripts whole words are beyond ASCII.
    others = ("shift_jis", "gb18030", "euc_kr", "cp1251") if 2 * alone < len(high) else ()
    fitting: list[str] = [each for each in (*others, *western) if _decodes(whole, each)]
    return fitting[0]


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _guesses(text: bytes, options: ReadOptions) -> Iterator[tuple[ReadOptions, bytes]]:
    """Options that may fit, the likeliest first, and the text as it is read with each."""
    lines = _lines(text)
    body = _body(lines, options)
    if body is None:
        return
    dialect = replace(options, delimiter=body.delimiter, decimal=body.decimal)
    typed = options.delimiter != WHITESPACE and body.delimiter == WHITESPACE
    parted = with_tabs if typed else bytes
    for header, start, comment in _beginnings(lines, body, options):
        guess = replace(dialect, header=header)
        rest = b"\n".join([*lines[start:], b""])
        if comment is None:
            guess = replace(guess, skip_lines=options.skip_lines + start)
        else:
            guess = replace(guess, comment=comment)
            rest = without_comments(b"\n".join([*lines, b""]), comment, 0, Gaps())
        rest = parted(rest)
        yield guess, rest
        if header and options.pixels is None:
            names = rest[: rest.find(b"\n")].decode(errors="replace")
            cells = names.split(delimiter_byte(body.delimiter, "").decode())
            specs = suggested_specs([cell.strip().strip('"') for cell in cells])
            if len(specs) == 1:
                yield replace(guess, pixels=specs[0]), rest


def _lines(text: bytes) -> list[bytes]:
    """The first lines that were read as a whole."""
    ends = [end for end, _ in zip(LINE_END.finditer(text), range(SAMPLED), strict=False)]
    starts = [0, *(end.end() for end in ends)]
    lines = [text[start : end.start()] for start, end in zip(starts, ends, strict=False)]
    return lines or [text]


def _body(lines: list[bytes], options: ReadOptions) -> _Body | None:
    """The delimiter and decimal sign by which most lines hold 64 numbers, and the first of them."""
    given = options.delimiter, options.decimal
    ways = [given, *product(DELIMITERS, (options.decimal,)), *product(DELIMITERS[1:], ",.")]
    best: tuple[int, _Body] | None = None
    for delimiter, decimal in dict.fromkeys(ways):
        rows = [i for i, line in enumerate(lines) if _numbers(line, delimiter, decimal)]
        if rows and (best is None or len(rows) > best[0]):
            best = len(rows), _Body(rows[0], delimiter, decimal)
    if best is not None:
        return best[1]
    of_names = (each for each in DELIMITERS if len(_cells(lines[0], each)) >= NEARLY_ALL)
    return next((_Body(1, each, options.decimal) for each in of_names), None)


def _numbers(line: bytes, delimiter: str, decimal: str) -> bool:
    """Return whether nearly all of 64 pixels are numbers, and there are that many cells."""
    cells = _cells(line, delimiter)
    aligned = delimiter == " " and (b"  " in line or line[:1] == b" ")
    if len(cells) < NEARLY_ALL or aligned:
        return False
    if decimal == ",":
        cells = [cell.replace(b".", b"?").replace(b",", b".") for cell in cells]
    numbers = sum(NUMBER.fullmatch(pixel_text(cell, b" \t")) is not None for cell in cells)
    return numbers >= NEARLY_ALL


def _cells(line: bytes, delimiter: str) -> list[bytes]:
    return line.split() if delimiter == WHITESPACE else line.split(delimiter_byte(delimiter, ""))


def _beginnings(
    lines: list[bytes], body: _Body, options: ReadOptions
) -> Iterator[tuple[bool, int, str | None]]:
    """Where the file may begin: whether with a header, after how many lines, or which comments."""
    before = body.line
    named = before > 0 and sum(map(bool, _cells(lines[before - 1], body.delimiter))) >= NEARLY_ALL
    start = before - 1 if named else before
    for header, stop in ((False, before), (True, start)):
        comment = _comment(lines[:stop], body, options)
        if comment is not None:
            yield header, 0, comment
    if named or options.header:
        yield True, start, None
    if not named:
        yield False, before, None


def _comment(lines: list[bytes], body: _Body, options: ReadOptions) -> str | None:
    """The character that begins all of these lines, if it may mark comments."""
    marks = {line.strip()[:1].decode(errors="replace") for line in lines} - {""}
    mark = marks.pop() if len(marks) == 1 else ""
    usable = mark and mark in COMMENTS and mark != body.delimiter
    return mark if usable and options.comment is None else None


def _message(text: bytes, before: ReadOptions, after: ReadOptions, problem: str) -> str:
    """The differences of two records of options in words and as flags."""
    old = asdict(before)
    changed = {name: value for name, value in asdict(after).items() if value != old[name]}
    looks = [_look(name, text, before, after) for name in _LOOKS if name in changed]
    flags = " ".join(_flag(name, changed[name]) for name in _LOOKS if name in changed)
    then = f"; with that: {problem}" if problem else ""
    return f"{', '.join(looks)}: use {flags}{then}"


_LOOKS = ("encoding", "skip_lines", "comment", "delimiter", "decimal", "header", "pixels")


def _look(name: str, text: bytes, before: ReadOptions, after: ReadOptions) -> str:
    if name == "encoding":
        return f"its text is not UTF-8, it looks like {after.encoding}"
    if name == "skip_lines":
        lines = _lines(text)[: after.skip_lines - before.skip_lines]
        return f"its first {_shown_lines(lines)}"
    if name == "delimiter":
        if after.delimiter == WHITESPACE:
            return "its columns are aligned with blanks"
        return f"the delimiter looks like {typed(after.delimiter)}"
    return {
        "comment": f"its lines that begin with {after.comment!r} are comments",
        "decimal": f"its decimal sign is {'a comma' if after.decimal == ',' else 'a point'}",
        "header": "it has no header" if not after.header else "it has a header",
        "pixels": "its pixel columns have names of their own",
    }[name]


def _shown_lines(lines: list[bytes]) -> str:
    shown = lines[0].decode(errors="replace").strip()
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]} …"
    what = _kind_of(lines)
    if len(lines) == 1:
        return f"line {shown!r} is {what}"
    return f"{count_of(len(lines), 'line')}, from {shown!r} on, are {what}"


def _kind_of(lines: list[bytes]) -> str:
    first = lines[0].strip().lower()
    if first.startswith(b"sep="):
        return "Excel's note of the delimiter, no header"
    if any(line.strip().lower().startswith(b"@relation") for line in lines):
        return "the head of an ARFF file"
    return "neither a header nor a row"


def _flag(name: str, value: object) -> str:
    if name == "header":
        return "leave --no-header out" if value else "--no-header"
    text = typed(str(value)) if name in ("delimiter", "decimal") else shlex.quote(str(value))
    return f"--{name.replace('_', '-')} {text}"


def typed(delimiter: str) -> str:
    """A delimiter or decimal sign as it is typed in a shell."""
    return (
        delimiter if delimiter == WHITESPACE else {"\t": "'\\t'"}.get(delimiter, f"'{delimiter}'")
    )
