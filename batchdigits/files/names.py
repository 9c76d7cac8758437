"""What an input is by its name: CSV or Parquet, its compression, its stem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["csv", "parquet"]
Compression = Literal["gz", "zst"] | None

# What a folder is searched for, and what an output can be.
DATA_SUFFIXES = (".csv", ".csv.gz", ".csv.zst", ".parquet")
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".data")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input as the operator named it; `path` None is standard input."""

    path: Path | None
    kind: Kind
    compression: Compression = None

    @property
    def name(self) -> str:
        """How messages and receipts call it."""
        return "-" if self.path is None else str(self.path)

    @property
    def stem(self) -> str:
        """The file name without its data suffixes: `forms` for `forms.csv.gz`."""
        return "stdin" if self.path is None else split_name(self.path.name)[0]


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The inputs of a run, in order. `several`: --output then names a folder, even for one."""

    inputs: tuple[InputFile, ...]
    several: bool


def split_name(name: str) -> tuple[str, Kind | None, Compression]:
    """A file name as stem, kind and compression; kind None where the suffix tells nothing.

    A name that is nothing but a suffix is all stem.
    """
    base, compression = _split_compression(name)
    if compression is None and (stem := _without(base, (".parquet",))):
        return stem, "parquet", None
    if stem := _without(base, _TEXT_SUFFIXES):
        return stem, "csv", compression
    return base, None, compression


def data_suffix(kind: Kind, compression: Compression) -> str:
    """The suffix of a file of this kind: `.csv.gz`."""
    return f".{kind}" if compression is None else f".{kind}.{compression}"


def _split_compression(name: str) -> tuple[str, Compression]:
    if stem := _without(name, (".gz",)):
        return stem, "gz"
    if stem := _without(name, (".zst",)):
        return stem, "zst"
    return name, None


def _without(name: str, suffixes: tuple[str, ...]) -> str:
    """The name without one of the suffixes, in any case of letters; empty when it has none."""
    return next((name[: -len(s)] for s in suffixes if name.lower().endswith(s)), "")
