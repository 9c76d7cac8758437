"""The table of file formats, and an input file by its name: format, folders, stem, shard."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from batchdigits.errors import UsageError
from batchdigits.files.objects.address import masked, scheme_of
from batchdigits.files.objects.path import ObjectPath, as_path

Compression = Literal["gz", "zst"] | None

COMPRESSIONS: dict[Compression, str] = {"gz": "gzip", "zst": "Zstandard"}
"""Each compression by the suffix of its files, with its title in messages."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The names and first bytes of a format's files; the folder `rows/NAME/` reads and writes them.

    title           the format in messages
    suffixes        those that are read; the first is written
    magic           the first bytes of every file; empty for the one format of plain text, which
                    is what a file is taken for that begins with no format's bytes
    compressions    those that a file may have as a whole
    standard_input  whether `-` is read as this format; true of one
    """

    title: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
    compressions: tuple[Compression, ...] = ()
    standard_input: bool = False


FORMATS: dict[str, FileFormat] = {
    "csv": FileFormat(
        "CSV", (".csv", ".tsv", ".txt", ".data"), compressions=("gz", "zst"), standard_input=True
    ),
    "parquet": FileFormat("Parquet", (".parquet", ".parq", ".pq"), magic=b"PAR1"),
}
PLAIN_TEXT = next(name for name, facts in FORMATS.items() if not facts.magic)
STANDARD_INPUT = next(name for name, facts in FORMATS.items() if facts.standard_input)


Partitions = tuple[tuple[str, str | None], ...]
"""Names and values of columns that are the names of folders: `day=2026-11-27`."""

_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input file as the user named it; `path` None is standard input, `kind` its format.

    subfolder   the folders between the folder or glob that the user gave and the file, joined by
                `/`; empty for a file that was named by itself
    partitions  the columns that these folders stand for, outermost first; None is a null
    """

    path: Path | None
    kind: str
    compression: Compression = None
    subfolder: str = ""
    partitions: Partitions = ()

    @property
    def name(self) -> str:
        """The name in messages and receipts."""
        return "-" if self.path is None else str(self.path)

    @property
    def stem(self) -> str:
        """The file name without its data suffixes: `forms` for `forms.csv.gz`."""
        return "stdin" if self.path is None else split_name(self.path.name)[0]

    @property
    def relative(self) -> str:
        """The path below the folder or glob that the user gave, else the file's name."""
        name = self.name if self.path is None else self.path.name
        return f"{self.subfolder}/{name}" if self.subfolder else name


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The input files of a run, in order. `several`: --output names a folder, even for one file."""

    inputs: tuple[InputFile, ...]
    several: bool


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares of the input files, by number from 0.

    The share of a file is the SHA-256 of its relative path (`day=1/a.csv`, the bytes of its name on
    disk) as a big-endian number, modulo `count`. That is a promise: machines share out files by it.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `I/N`. Raises UsageError for anything else."""
        match = re.fullmatch("([0-9]{1,6})/([0-9]{1,6})", text)
        index, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if index >= count:
            raise UsageError(
                f"--shard {text!r}: expected I/N with I from 0 to N-1, such as 0/16 … 15/16"
            )
        return cls(index, count)

    def takes(self, input_file: InputFile) -> bool:
        digest = hashlib.sha256(os.fsencode(input_file.relative)).digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def visible(folder: Path, pattern: str) -> list[Path]:
    """Return what matches a pattern in a folder, sorted; `**/` before it looks below too.

    Hidden names and folders don't count: they are temporaries, of a run that is going on or was
    killed.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def is_partition(folder: str) -> bool:
    """Return whether the name of a folder is `key=value`, as Hive and Spark write them."""
    return folder.find("=") > 0


def partitions_of(folders: Sequence[str]) -> Partitions:
    """Read the columns that folders stand for, percent-decoded; other folders stand for none."""
    from urllib.parse import unquote  # few runs need it

    pairs = [folder.split("=", 1) for folder in folders if is_partition(folder)]
    return tuple(
        (
            unquote(key, errors="surrogateescape"),
            None if value == _NULL_PARTITION else unquote(value, errors="surrogateescape"),
        )
        for key, value in pairs
    )


def split_name(name: str) -> tuple[str, str | None, Compression]:
    """Split a file name into stem, format and compression; format None for an unknown suffix.

    A name that is only a suffix is all stem.
    """
    base, compression = _split_compression(name)
    for kind, facts in FORMATS.items():
        if compression is None or compression in facts.compressions:
            stem = _without(base, facts.suffixes)
            if stem:
                return stem, kind, compression
    return base, None, compression


def data_suffix(kind: str, compression: Compression) -> str:
    """The suffix that a file of this format is written with: `.csv.gz`."""
    suffix = FORMATS[kind].suffixes[0]
    return suffix if compression is None else f"{suffix}.{compression}"


DATA_SUFFIXES = tuple(
    data_suffix(kind, compression)
    for kind, facts in FORMATS.items()
    for compression in (None, *facts.compressions)
)
"""The suffixes that an output may have."""

SEARCHED_SUFFIXES = (*DATA_SUFFIXES, *FORMATS["parquet"].suffixes[1:])
"""The suffixes that a folder is searched for."""


def _split_compression(name: str) -> tuple[str, Compression]:
    for compression in COMPRESSIONS:
        if stem := _without(name, (f".{compression}",)):
            return stem, compression
    return name, None


def _without(name: str, suffixes: tuple[str, ...]) -> str:
    """The name without one of the suffixes, in any case of letters; empty when it has none."""
    return next((name[: -len(s)] for s in suffixes if name.lower().endswith(s)), "")


def refuse_url(name: str | os.PathLike[str], what: str) -> None:
    """Raise UsageError for the address of an object or a page: files are read and written here.

    A `Path` has made one slash of two. `what` is the flag that the name was given to, or empty.
    """
    scheme = scheme_of(str(name))
    if not scheme:
        return
    where = f"{what} {masked(str(name))}".lstrip()
    raise UsageError(
        f"{where}: {scheme}:// is not supported here; mount it, or copy the files to a local "
        "folder and name that"
    )


def path_named(name: str | os.PathLike[str], what: str) -> Path:
    """Return the path that a flag or argument names: of a file, or of an object that we can read.

    Raises UsageError for any other address, MissingExtraError for an object without the extra.
    """
    path = as_path(name)
    if not isinstance(path, ObjectPath):
        refuse_url(name, what)
    return path
