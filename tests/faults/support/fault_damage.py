"""Damage that hypothesis generates, and the promises for a damaged file that was scored."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from fault_csv import ScoredCsv, score_csv
from fault_data import csv_bytes, digit_rows, digit_table
from fault_runs import PUBLISHED, Job, assert_ledger, predict_here
from hypothesis import strategies as st

LINE_END = re.compile(rb"\r\n|\n|\r")
SHOWN = 4096

NASTY = (
    *(b'"', b'""', b'"\n', b'\n"', b',"', b'",', b"\n", b"\r", b"\r\n", b"\n\n\n", b",", b",,,"),
    *(b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\x1a", b"\\", b"'", b";", b"\t"),
    *(b"0x10", b"1e400", b"-1", b"+", b".", b"NaN", b"5.0", b"99999999999", b"\xef\xbc\x95"),
)


@dataclass(frozen=True)
class Damage:
    """One change to bytes; `where` and `other` are places, as shares of the whole."""

    kind: str
    where: float
    other: float
    size: int
    extra: bytes

    def to(self, data: bytes) -> bytes:
        at, end = _places(data, self.where, self.size)
        start, stop = _places(data, self.other, self.size)
        changes: dict[str, Callable[[], bytes]] = {
            "truncate": lambda: data[:at],
            "flip": lambda: data[:at] + bytes([data[at] ^ 1 << self.size % 8]) + data[at + 1 :],
            "duplicate": lambda: data[:end] + data[at:],
            "delete": lambda: data[:at] + data[end:],
            "insert": lambda: data[:at] + self.extra + data[at:],
            "splice": lambda: data[:at] + data[start:stop] + data[end:],
            "re-encode": lambda: _reencoded(data, self.size),
        }
        return changes[self.kind]() if data else data


KINDS = ("truncate", "flip", "duplicate", "delete", "insert", "splice", "re-encode")


def damages(kinds: tuple[str, ...] = KINDS) -> st.SearchStrategy[list[Damage]]:
    """One to three changes of these kinds."""
    part = st.floats(0, 1, exclude_max=True)
    size = st.one_of(st.integers(1, 16), st.integers(1, 2000))
    extra = st.one_of(st.sampled_from(NASTY), st.binary(min_size=1, max_size=8))
    one = st.builds(Damage, st.sampled_from(kinds), part, part, size, extra)
    return st.lists(one, min_size=1, max_size=3)


def damaged(data: bytes, changes: list[Damage]) -> bytes:
    for change in changes:
        data = change.to(data)
    return data


def _places(data: bytes, part: float, size: int) -> tuple[int, int]:
    at = int(part * len(data))
    return at, min(at + size, len(data))


def _reencoded(data: bytes, which: int) -> bytes:
    text = data.decode("utf-8", "replace")
    encodings = ("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252", "utf-32")
    if which % 8 == 6:
        return LINE_END.sub(b"\r\n", data)
    if which % 8 == 7:
        return LINE_END.sub(b"\r", data)
    return text.encode(encodings[which % 8], "replace")


class CsvUnderDamage:
    """A CSV with quoted texts of several lines, and the prediction row of each plain line."""

    def __init__(self, folder: Path, count: int = 120) -> None:
        self.folder = folder
        rows = digit_rows(count)
        for i, row in enumerate(rows):
            row[1] = ("plain", '"a ""quoted"" text"', "caf\u00e9", "", "it's")[i % 5]
        for row in rows[7::20]:
            row[1] = '"several\nlines, of text"'
        self.whole = csv_bytes(rows)
        (folder / "whole").mkdir()
        scored = score_csv(folder / "whole", "in.csv", self.whole)
        assert (scored.code, len(scored.rows)) == (0, count)
        self.header = self.whole.split(b"\n", 1)[0]
        pairs = zip((",".join(row) for row in rows), scored.rows, strict=True)
        self.expected = {line.encode(): row for line, row in pairs if "\n" not in line}

    def check(self, data: bytes, name: str = "in.csv") -> ScoredCsv:
        """Score damaged bytes; every undamaged line must get what it got, and none get lost."""
        self._clear()
        scored = score_csv(self.folder, name, data)
        assert scored.code in (*PUBLISHED, 65), scored.ran.stderr
        return scored

    def check_text(self, data: bytes) -> ScoredCsv:
        """Score damaged bytes of a CSV that is not compressed, and check it line by line."""
        scored = self.check(data)
        if scored.code not in PUBLISHED:
            return scored
        lines = _lines(data.removeprefix(b"\xef\xbb\xbf"))
        if lines[0] == self.header:
            self._check_untouched(lines[1:], scored)
        for reject in scored.rejects:
            line = lines[int(reject["line"]) - 1].decode("utf-8", "replace")
            assert reject["raw"].startswith(line[: SHOWN - 4].rstrip("\ufffd"))
        if b'"' not in data:
            rows = len(b"\n".join(lines[1:]).rstrip(b" \t\n").split(b"\n")) if lines[1:] else 0
            assert len(scored.rows) + len(scored.rejects) == rows
        return scored

    def _check_untouched(self, lines: list[bytes], scored: ScoredCsv) -> None:
        wanted = [self.expected[line] for line in lines if line in self.expected]
        there = iter(scored.rows)
        lost = [row for row in wanted if not any(row == other for other in there)]
        assert not lost, f"{len(lost)} undamaged rows lost or changed, the first is {lost[0][0]}"

    def _clear(self) -> None:
        for path in (self.folder / "out").glob("*"):
            path.unlink()


def _lines(data: bytes) -> list[bytes]:
    """Physical lines, without an empty one after the last line end."""
    lines = LINE_END.split(data)
    return lines[:-1] if lines[-1] == b"" else lines


class ParquetUnderDamage:
    """A Parquet file with a checksum in every page, and its predictions."""

    def __init__(self, folder: Path, count: int = 300) -> None:
        self.job = Job(folder / "in.parquet", folder / "out" / "p.parquet")
        self.job.output.parent.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        options = {"write_page_checksum": True, "compression": "zstd", "row_group_size": 100}
        pq.write_table(digit_table(count), sink, **options)
        self.whole: bytes = sink.getvalue().to_pybytes()
        assert self.check(self.whole) == "published"
        self.clean = pq.read_table(self.job.output)

    clean: pa.Table | None = None

    def check(self, data: bytes) -> str:
        """Score damaged bytes: "published", "refused", or "silent" where values changed unseen."""
        for path in self.job.output.parent.iterdir():
            path.unlink()
        self.job.source.write_bytes(data)
        ran = predict_here(*self.job.arguments)
        assert_ledger(self.job, ran)
        if ran.code not in PUBLISHED:
            assert ran.code in (65, 70), ran.stderr
            return "refused"
        assert ran.summary["rows_in"] == pq.read_metadata(self.job.source).num_rows
        same = self.clean is None or pq.read_table(self.job.output).equals(self.clean)
        return "published" if same else "silent"


def compressed(data: bytes) -> bytes:
    """The data as gzip without a date."""
    return gzip.compress(data, mtime=0)
