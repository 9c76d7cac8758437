"""Files of predictions, each checked against the receipt beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.files.commit import named_outputs, read_receipt
from batchdigits.files.digest import digest_file
from batchdigits.files.names import split_name
from batchdigits.files.written import WrittenFile
from batchdigits.scoring.rescore import output_schema_of, read_output

PROBABILITY = "proba_"


@dataclass(frozen=True)
class Predictions:
    """One file of predictions, as predict or a review wrote it.

    receipt   its name, if it is there; without it nobody knows which cells are missing
    rejects   the file of rejected rows, if there is one; `expected` the number of rows of both
    digests   those of both files
    """

    path: Path
    receipt: str | None
    rejects: Path | None
    expected: int | None
    digests: Mapping[Path, str]

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns: typed of Parquet, text of CSV."""
        return output_schema_of(self.path)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels whose probabilities are in columns, in the file's order."""
        names = [name for name in self.schema.names if name.startswith(PROBABILITY)]
        return tuple(name.removeprefix(PROBABILITY) for name in names)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the predictions, batch by batch."""
        return read_output(self.path, list(columns))

    def reject_batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns of the rejects, batch by batch."""
        return iter(()) if self.rejects is None else read_output(self.rejects, list(columns))

    def facts(self) -> dict[str, Any]:
        return {"path": str(self.path), "sha256": self.digests[self.path]}


def open_predictions(path: Path, *, counted: bool) -> Predictions:
    """Open predictions, as predict or a review wrote them, with the rejects that belong to them.

    counted  the numbers of cells of fields are given; without any a receipt is needed

    Raises NoInputError for a missing file or receipt, UnusableInputError for one that is not what
    its receipt says.
    """
    if not path.is_file():
        problem = "is not a file" if path.exists() else "no such file"
        raise NoInputError(f"{path}: {problem}; give the predictions that predict wrote")
    stem = split_name(path.name)[0].removesuffix(".predictions")
    if stem.endswith((".rejects", ".fields")):
        raise UsageError(f"{path}: holds no predictions; name the file that predict wrote")
    receipt_path = path.with_name(f"{stem}.receipt.json")
    facts = read_receipt(receipt_path)
    if facts is None and counted:
        return Predictions(path, None, None, None, {path: digest_file(path)})
    if facts is None:
        raise NoInputError(
            f"{path}: its receipt {receipt_path.name} is missing, so nobody knows which cells were "
            "rejected; keep both together, or tell how long fields are by --length or --template"
        )
    output = _output_of(receipt_path, facts, path)
    scored = _reviewed_of(receipt_path, facts) if stem.endswith(".reviewed") else facts
    outputs = named_outputs(path.parent, scored) or []
    rejects = outputs[1] if len(outputs) > 1 else None
    if rejects is not None:
        _check(receipt_path, rejects)
    expected = scored.get("rows_in")
    return Predictions(
        path,
        receipt_path.name,
        None if rejects is None else rejects.path,
        expected if type(expected) is int else None,
        {path: output.digest, **({} if rejects is None else {rejects.path: rejects.digest})},
    )


def _output_of(receipt: Path, facts: Mapping[str, Any], path: Path) -> WrittenFile:
    """Return the predictions that a receipt names, which must be `path` as it was written."""
    outputs = named_outputs(path.parent, facts)
    if not outputs or outputs[0].path.name != path.name:
        other = f"is of {outputs[0].path.name}; name that" if outputs else "is of no predictions"
        raise UnusableInputError(f"{path}: {receipt.name} beside it {other}, or run predict again")
    _check(receipt, outputs[0])
    return outputs[0]


def _reviewed_of(receipt: Path, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the receipt of the predictions of which a review was made."""
    first = receipt.with_name(f"{receipt.name.removesuffix('.reviewed.receipt.json')}.receipt.json")
    origin = read_receipt(first)
    outputs = None if origin is None else named_outputs(first.parent, origin)
    match facts.get("predictions"):
        case {"sha256": str(digest)} if origin and outputs and outputs[0].digest == digest:
            return origin
    raise NoInputError(
        f"{first}: missing, or of other predictions than the reviewed ones, so nobody knows which "
        "cells were rejected; put it back beside the reviewed file"
    )


def _check(receipt: Path, output: WrittenFile) -> None:
    if not output.path.is_file():
        raise NoInputError(f"{receipt}: its output {output.path} is missing; run predict again")
    if digest_file(output.path) != output.digest:
        raise UnusableInputError(
            f"{output.path}: was changed since {receipt.name} was written; restore it, or run the "
            "command again that wrote it"
        )
