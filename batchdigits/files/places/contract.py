"""The contract of a place for the outputs of one input file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from batchdigits.files.streams import OutputStream
from batchdigits.files.targets import Targets
from batchdigits.files.written import WrittenFile


class Place(Protocol):
    """Where the outputs of one input file go; `targets` are their final names.

    In this order: `check()` refuses names that can't be written, before any work. `held()` keeps
    every other run away until it is left, completes or discards what an earlier run left behind,
    and removes the temporaries of this one if it is left by an exception. Inside it `open(path)`
    gives the stream of a temporary for the final name `path`, and `publish()` gives all temporaries
    their final names, whole or not at all, and writes the receipt last; with `overwrite` false it
    replaces nothing that has appeared since.

    `present()` tells which final names something has that only an overwriting run may replace.
    `scratch` is the local folder, which may not exist yet, in which the temporaries are written.

    `keep()` gives one temporary alone its final name, the rejects of an input file of which no row
    can be scored, and returns whether it did: it does nothing where a final name has something.
    `drop()` gives up such a file: it is removed or replaced.

    `is_settled()` is for a dry run: it raises TryAgainError where another run holds the place, and
    tells whether no commit was cut off there; it raises OutputError for one that is not ours. It
    writes nothing.
    """

    targets: Targets

    @property
    def scratch(self) -> Path: ...

    def check(self) -> None: ...

    def held(self) -> AbstractContextManager[None]: ...

    def present(self) -> list[Path]: ...

    def open(self, path: Path) -> OutputStream: ...

    def publish(
        self, written: Sequence[WrittenFile], receipt: Mapping[str, Any], *, overwrite: bool = True
    ) -> None: ...

    def keep(self, output: WrittenFile) -> bool: ...

    def drop(self, path: Path) -> None: ...

    def is_settled(self) -> bool: ...
