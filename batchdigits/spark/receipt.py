"""The receipt of rows mode: in the folder it tells of, under a name that readers of data skip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from batchdigits._version import __version__
from batchdigits.errors import NoInputError, UnusableInputError, is_exit_code
from batchdigits.files.commit import read_receipt
from batchdigits.files.written import WrittenFile, entry_of, from_entries, is_file_of
from batchdigits.scoring.ledger import Counts

KIND = "spark"
FORMAT = 1
RECEIPT_NAME = "_spark.receipt.json"
"""Spark, Hive and Arrow read no file whose name begins with `_`."""


@dataclass(frozen=True, slots=True)
class SparkReceipt:
    """The receipt of a folder that rows mode published.

    folder     the folder
    bundle     name, version, digest, and the id of the key that signed it, if that was checked
    options    the options that decide the columns and their values
    counts     as counted in the files
    exit_code  0, or 3 with more rejects than allowed
    times      `started`, `finished` and `seconds`
    files      the Parquet files
    """

    folder: Path
    bundle: Mapping[str, Any]
    options: Mapping[str, Any]
    counts: Counts
    exit_code: int
    times: Mapping[str, Any]
    files: tuple[WrittenFile, ...]

    @property
    def path(self) -> Path:
        return self.folder / RECEIPT_NAME

    def facts(self) -> dict[str, Any]:
        """Return the receipt as its file holds it."""
        counts = self.counts.facts()
        del counts["rows_to_review"]
        return {
            "kind": KIND,
            "format": FORMAT,
            "batchdigits": __version__,
            "exit_code": self.exit_code,
            **self.times,
            "bundle": dict(self.bundle),
            "options": dict(self.options),
            **counts,
            "outputs": {"files": [entry_of(file) for file in self.files]},
        }

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the receipt in a folder.

        Raises NoInputError if there is none, UnusableInputError for a damaged or a newer one.
        """
        path = folder / RECEIPT_NAME
        facts = read_receipt(path) if path.exists() else None
        if facts is None:
            raise NoInputError(f"{path}: no receipt; write the folder with batchdigits.spark.write")
        match facts:
            case {
                "kind": "spark",
                "format": 1,
                "exit_code": code,
                "bundle": dict(bundle),
                "options": dict(options),
                "outputs": {"files": list(entries)},
            } if is_exit_code(code) and (files := from_entries(folder, entries)) is not None:
                times = {name: facts.get(name) for name in ("started", "finished", "seconds")}
                try:
                    counts = Counts.of_facts(facts)
                except ValueError:
                    pass
                else:
                    return cls(folder, bundle, options, counts, code, times, tuple(files))
        raise UnusableInputError(f"{path}: a damaged receipt, or one of a newer batchdigits")

    def problems(self) -> list[str]:
        """Return what differs between the receipt and its folder; empty if nothing does."""
        named = {file.path for file in self.files}
        found = [
            f"{f.path}: is missing or differs" for f in self.files if not is_file_of(f.path, f)
        ]
        others = sorted(set(self.folder.glob("part-*")) - named)
        found += [f"{path}: is not in the receipt" for path in others]
        if not self.counts.add_up:
            found.append(f"{self.path}: its counts do not add up")
        return found
