"""The options of reading input files, which every command shares, and the machine's threads."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from batchdigits.cpus import available_workers
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.images import DARKEST
from batchdigits.rows.pixels import parse_pixel_spec
from batchdigits.text import exact, listing

if TYPE_CHECKING:
    import argparse

BATCH_ROWS = 32_768
MAX_BATCH_ROWS = 1 << 24
MOST_SKIPPED = 1_000_000

WHITESPACE = "whitespace"
"""The delimiter of columns that are aligned with spaces and tabs."""

UTF8 = "utf-8"

# Python's codecs that leave ASCII as it is, but read escapes in it.
_NO_ENCODINGS = frozenset({"unicode_escape", "raw_unicode_escape", "idna", "punycode", "hz"})

LATER_OPTIONS: dict[str, Any] = {
    "skip_lines": 0,
    "comment": None,
    "decimal": ".",
    "encoding": UTF8,
}
"""Options that receipts of older versions lack, with the values that those runs had."""

LEAST_SCALE, LARGEST_SCALE = 1e-6, 1e12
"""Far beyond any image; float32 holds what is computed between them."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options by which the rows of an input file are read.

    pixels     names of the pixel columns: 'PREFIX{0..63}', 64 names joined by commas, or one
               list column; None finds them by the known spellings
    header     False for a CSV that begins with data (`--no-header`)
    delimiter  one character, or `whitespace` for any run of spaces and tabs (CSV)
    scale      None: pixels are 0..16. MAX: pixels are 0..MAX and become x * 16 / MAX in float32
    keep       pass-through columns to keep, in this order; None keeps all in the file's order
    skip_lines lines before the header, or before the rows, to skip (CSV)
    comment    the character that begins the lines to skip anywhere; None: there are none (CSV)
    decimal    the decimal sign of the pixels, a point or a comma (CSV)
    encoding   the name of the text's encoding, one that contains ASCII (CSV)
    folders    names of columns that are not in the file: its folders stand for them; no flag
    """

    pixels: str | None = None
    header: bool = True
    delimiter: str = ","
    scale: float | None = None
    keep: tuple[str, ...] | None = None
    skip_lines: int = 0
    comment: str | None = None
    decimal: str = "."
    encoding: str = UTF8
    folders: tuple[str, ...] = ()

    @classmethod
    def of_flags(cls, arguments: argparse.Namespace, **others: Any) -> Self:
        """Take the options from a command's flags; flags that the command lacks keep defaults.

        `others` are fields that the command's flags call by another name.
        """
        given = vars(arguments) | others
        return cls(**{f.name: given[f.name] for f in fields(cls) if f.name in given})

    @property
    def darkest(self) -> float:
        """The largest value that a pixel of the input file may have."""
        return float(DARKEST) if self.scale is None else self.scale

    def checked(self) -> Self:
        """Return the same options, the encoding by its usual name.

        Raises UsageError for values that fit no input file.
        """
        self._check_dialect()
        if self.scale is not None and not LEAST_SCALE <= self.scale <= LARGEST_SCALE:
            raise UsageError(f"--scale {self.scale}: expected the largest pixel value, such as 255")
        if self.pixels is not None:
            parse_pixel_spec(self.pixels)
        doubled = [name for name, count in Counter(self.keep or ()).items() if count > 1]
        if doubled:
            raise UsageError(
                f"--keep names {listing(map(repr, doubled))} more than once; name each column once"
            )
        return replace(self, encoding=usual_encoding(self.encoding))

    def _check_dialect(self) -> None:
        """Raise UsageError for values of a CSV's dialect that can't be, or can't be together."""
        delimiter = delimiter_byte(self.delimiter, "--delimiter").decode()
        if self.decimal not in (".", ","):
            raise UsageError(f"--decimal {self.decimal!r}: expected a point or a comma")
        if self.decimal == delimiter:
            raise UsageError(
                "--decimal ,: the comma is the delimiter too; name the delimiter of the cells, "
                "such as --delimiter ';'"
            )
        if not 0 <= self.skip_lines <= MOST_SKIPPED:
            raise UsageError(f"--skip-lines {self.skip_lines}: expected 0 to {MOST_SKIPPED}")
        if self.comment is not None:
            _check_comment(self.comment, delimiter)

    def select(self, names: Sequence[str], where: str) -> Sequence[str]:
        """Choose the pass-through columns of an input file from its names besides the pixels.

        `where` is the input file in messages. Raises UnusableInputError if `keep` names a column
        that neither the file nor its folders have.
        """
        added = [name for name in self.folders if name not in names]
        if not added:
            return self.choose(names, where)
        return [name for name in self.choose([*names, *added], where) if name not in added]

    def choose(self, names: Sequence[str], where: str) -> Sequence[str]:
        """Choose among the columns of a file and of its folders, as `select`."""
        if self.keep is None:
            return names
        known = set(names)
        unknown = [name for name in self.keep if name not in known]
        if unknown:
            raise UnusableInputError(
                f"{where}: --keep names the unknown column {listing(map(repr, unknown))}; the "
                f"columns besides the pixels are: {listing(names) or 'none'}"
            )
        return self.keep

    def facts(self) -> dict[str, Any]:
        """The options as a receipt keeps them."""
        facts = asdict(self) | {"keep": None if self.keep is None else list(self.keep)}
        del facts["folders"]  # each input file has its own
        return facts

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Parse what `facts` wrote, among other keys. Raises ValueError for anything else."""
        match facts:
            case {
                "pixels": (str() | None) as pixels,
                "header": bool(header),
                "delimiter": str(delimiter),
                "scale": (float() | int() | None) as scale,
                "keep": (list() | None) as keep,
            }:
                kept = None if keep is None else tuple(map(str, keep))
                options = cls(pixels, header, delimiter, scale, kept)
                return replace(options, **_dialect_of({**LATER_OPTIONS, **facts}))
        raise ValueError("its options are not those of predict")

    def words(self) -> list[str]:
        """The shortest command-line flags for the same options."""
        words: list[str] = []
        if self.pixels is not None:
            words += ["--pixels", self.pixels]
        if not self.header:
            words.append("--no-header")
        if self.delimiter != ",":
            words += ["--delimiter", self.delimiter]
        if self.scale is not None:
            words += ["--scale", exact(self.scale)]
        if self.skip_lines:
            words += ["--skip-lines", str(self.skip_lines)]
        if self.comment is not None:
            words += ["--comment", self.comment]
        if self.decimal != ".":
            words += ["--decimal", self.decimal]
        if self.encoding != UTF8:
            words += ["--encoding", self.encoding]
        return words


SMALL_INPUT_BYTES = 256 * 1024
"""The largest input file that one thread scores: some 7,000 rows of Parquet, 1,500 of CSV."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The threads and memory that a machine gives to a run; they change no value in an output.

    workers     threads that score; None: the CPUs that this process may use, one for small inputs
    batch_rows  rows of a Parquet batch at most (CSV blocks are cut by bytes)
    scratch     the local folder for copies of objects; None: that of temporary files
    """

    workers: int | None = None
    batch_rows: int = BATCH_ROWS
    scratch: str | None = None

    @property
    def threads(self) -> int:
        return available_workers() if self.workers is None else self.workers

    def for_bytes(self, size: int) -> Self:
        """Return the machine for an input file of `size` bytes: for a small one, one thread.

        Starting and waking threads takes longer than they would save. Workers that were asked for
        are started anyway.
        """
        is_small = self.workers is None and size <= SMALL_INPUT_BYTES
        return replace(self, workers=1) if is_small else self

    def checked(self) -> Self:
        """Return the same. Raises UsageError for values that no machine has."""
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers {self.workers}: expected 1 or more")
        if not 1 <= self.batch_rows <= MAX_BATCH_ROWS:
            raise UsageError(f"--batch-size {self.batch_rows}: expected 1 to {MAX_BATCH_ROWS} rows")
        # An empty path is the current folder to the file system.
        if self.scratch is not None and not (self.scratch and Path(self.scratch).is_dir()):
            raise UsageError(f"--scratch {self.scratch!r}: is no folder; make it, or name another")
        return self


ONE_THREAD = Machine(workers=1)


def delimiter_byte(delimiter: str, name: str) -> bytes:
    """Parse a delimiter as one byte; a backslash and a t, as typed in a shell, are a tab.

    `whitespace` is a tab too: that is what the lines of such a file are read with. Raises
    UsageError for a character that can't delimit cells.
    """
    delimiter = "\t" if delimiter in ("\\t", WHITESPACE) else delimiter
    usable = delimiter.isascii() and not delimiter.isalnum() and delimiter not in '"\r\n\0.+-'
    if len(delimiter) != 1 or not usable:
        raise UsageError(
            f"{name}: the delimiter is {delimiter!r}, expected one ASCII character other than "
            "letters, digits, quotes, dots and signs, such as --delimiter ';', or the word "
            f"{WHITESPACE} for columns that are aligned with spaces"
        )
    return delimiter.encode()


def usual_encoding(name: str) -> str:
    """Return the usual name of an encoding that contains ASCII. Raises UsageError for others."""
    if name.lower() == UTF8:
        return UTF8
    ascii_text = "".join(map(chr, range(128)))
    try:
        codec = codecs.lookup(name)
        usable = codec.name.replace("-", "_") not in _NO_ENCODINGS
        contains_ascii = usable and ascii_text.encode().decode(codec.name) == ascii_text
    except (LookupError, ValueError, TypeError):
        contains_ascii = False
    if not contains_ascii:
        raise UsageError(
            f"--encoding {name!r}: expected the name of an encoding that contains ASCII, such as "
            "utf-8, cp1252, latin-1, cp1251, shift_jis or gb18030; save other text as UTF-8"
        )
    return codec.name


def _check_comment(comment: str, delimiter: str) -> None:
    """Raise UsageError for a character that can't begin a comment line."""
    usable = comment.isascii() and comment.isprintable() and not comment.isalnum()
    if len(comment) != 1 or not usable or comment in f'"+-. {delimiter}':
        raise UsageError(
            f"--comment {comment!r}: expected one ASCII character that begins no row, such as '#'"
        )


def _dialect_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The dialect in a receipt's options. Raises ValueError unless it is as `facts` wrote it."""
    match facts:
        case {
            "skip_lines": int(),
            "comment": (str() | None),
            "decimal": str(),
            "encoding": str(),
        }:
            return {name: facts[name] for name in LATER_OPTIONS}
    raise ValueError("its options are not those of predict")
