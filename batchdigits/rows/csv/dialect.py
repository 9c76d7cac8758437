"""Odd dialects turned into plain CSV while the file is read, line by line and in bounded memory.

Another encoding becomes UTF-8, lines before the header and comments are left out, and columns
aligned with blanks get tabs between them. A file without such flags is read as it is. Where lines
were left out is kept, so that every line keeps the number that it has in the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

from batchdigits.errors import UnusableInputError
from batchdigits.rows.csv.layout import LINE_LIMIT
from batchdigits.rows.csv.lines import LINE_END, Reader, count_line_ends
from batchdigits.rows.options import UTF8, WHITESPACE, ReadOptions

Read = Callable[[int], bytes]
"""Reads about that many bytes, at least one, and none only at the end."""

CHUNK = 1 << 16
MOST_GAPS = 1 << 20  # runs of comments that wait for the rows after them

_QUOTED_OR_BLANKS = re.compile(rb'(?:(?<=[ \t\r\n])|\A)"(?:[^"\r\n]|"")*"?|[ \t]+')


def open_text(stream: Reader, encoding: str) -> Reader:
    """A reader of UTF-8. A byte that the encoding lacks becomes 0xFF, which UTF-8 lacks."""
    return stream if encoding == UTF8 else _Decoded(stream, encoding)


class _Decoded:
    def __init__(self, stream: Reader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=_UNDECODABLE)

    def read(self, size: int, /) -> bytes:
        while True:
            data = self._stream.read(size)
            text = self._decoder.decode(data, final=not data)
            if text or not data:
                return text.encode(errors="surrogateescape")


_UNDECODABLE = "batchdigits.undecodable"


def _undecodable(error: UnicodeError) -> tuple[str, int]:
    if isinstance(error, UnicodeDecodeError):
        return "\udcff", error.end
    raise error


codecs.register_error(_UNDECODABLE, _undecodable)


def without_lines(read: Read, count: int, name: str) -> Read:
    """Read and drop `count` lines, and return a reader of the rest.

    Raises UnusableInputError for a file without more lines.
    """
    rest, left = b"", count
    while left:
        data = read(CHUNK)
        if not data:
            raise UnusableInputError(
                f"{name}: --skip-lines {count} skips all of its lines; give a smaller number"
            )
        if data.endswith(b"\r"):
            data += read(1)  # the LF of a CR LF
        ends = [match.end() for match, _ in zip(LINE_END.finditer(data), range(left), strict=False)]
        left -= len(ends)
        rest = b"" if left else data[ends[-1] :]

    def read_rest(size: int) -> bytes:
        nonlocal rest
        data, rest = rest, b""
        return data or read(size)

    return read_rest


class Gaps:
    """The lines that were left out: how many before which of the lines that are left, from 0."""

    def __init__(self) -> None:
        self._gaps: list[tuple[int, int]] = []

    def add(self, line: int, count: int) -> None:
        if self._gaps and self._gaps[-1][0] == line:
            count += self._gaps.pop()[1]
        self._gaps.append((line, count))

    def __len__(self) -> int:
        return len(self._gaps)

    def take(self, before: int) -> tuple[tuple[int, int], ...]:
        """Remove and return the gaps before lines with smaller numbers."""
        count = next((i for i, gap in enumerate(self._gaps) if gap[0] >= before), len(self._gaps))
        taken = tuple(self._gaps[:count])
        del self._gaps[:count]
        return taken

    @property
    def lines(self) -> int:
        return sum(count for _, count in self._gaps)


def plain_lines(read: Read, options: ReadOptions, gaps: Gaps, name: str) -> Read:
    """A reader without comments, and with tabs between cells that are aligned with blanks."""
    aligned = options.delimiter == WHITESPACE
    if options.comment is None and not aligned:
        return read
    return _PlainLines(read, options, gaps, name).read


class _PlainLines:
    def __init__(self, read: Read, options: ReadOptions, gaps: Gaps, name: str) -> None:
        self._read = read
        self._options = options
        self._gaps = gaps
        self._name = name
        self._kept = 0  # lines so far
        self._parts = self._whole_lines()

    def read(self, _size: int) -> bytes:
        for part in self._parts:
            plain = self._plain(part)
            if plain:
                return plain
        return b""

    def _whole_lines(self) -> Iterator[bytes]:
        """Pieces that end where a line ends; a line over the limit as it is, in pieces."""
        rest, long = b"", False
        while data := self._read(CHUNK):
            rest += data
            stop = len(rest) - rest.endswith(b"\r")  # it may be half of a CR LF
            cut = max(rest.rfind(b"\n", 0, stop), rest.rfind(b"\r", 0, stop)) + 1
            if long and cut:
                start = LINE_END.search(rest, 0, stop)
                end = start.end() if start else cut
                yield _Long(rest[:end])
                rest, cut, long = rest[end:], cut - end, False
            if cut:
                yield rest[:cut]
                rest = rest[cut:]
            elif len(rest) > LINE_LIMIT + 1:
                yield _Long(rest[:-1])
                rest, long = rest[-1:], True
        if rest:
            yield _Long(rest) if long else rest

    def _plain(self, part: bytes) -> bytes:
        comment = self._options.comment
        if not isinstance(part, _Long):
            if comment is not None and comment.encode() in part:
                part = without_comments(part, comment, self._kept, self._gaps)
                if len(self._gaps) > MOST_GAPS:
                    raise UnusableInputError(
                        f"{self._name}: more than {MOST_GAPS:,} comments without a row between "
                        "them; remove them from the file"
                    )
            if self._options.delimiter == WHITESPACE:
                part = with_tabs(part)
        self._kept += count_line_ends(part)
        return part


class _Long(bytes):
    """A piece of a line over the limit."""


def without_comments(part: bytes, comment: str, first_line: int, gaps: Gaps) -> bytes:
    """Whole lines without those that begin with `comment`, maybe after blanks or at a BOM."""
    kept: list[bytes] = []
    done = 0
    for match in _comments(comment).finditer(part):
        piece = part[done : match.start()]
        first_line += count_line_ends(piece)
        kept.append(piece)
        gaps.add(first_line, 1)
        done = match.end()
    return b"".join([*kept, part[done:]])


def _comments(comment: str) -> re.Pattern[bytes]:
    mark = re.escape(comment.encode())
    start = rb"(?:(?<=[\r\n])|\A(?:\xef\xbb\xbf)?)[ \t]*"
    return re.compile(start + mark + rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")


def with_tabs(part: bytes) -> bytes:
    """Whole lines with one tab for each run of blanks outside quotes, and none at their ends."""
    lines = part.splitlines()
    end = b"\n" if part.endswith((b"\n", b"\r")) else b""
    return b"\n".join(_with_tabs(line) for line in lines) + end


def _with_tabs(line: bytes) -> bytes:
    if b'"' not in line:
        return b"\t".join(line.split())
    parts = _QUOTED_OR_BLANKS.sub(lambda match: match[0] if match[0][:1] == b'"' else b"\t", line)
    return parts.strip(b"\t")
