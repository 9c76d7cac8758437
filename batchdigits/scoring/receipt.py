"""The receipt of one finished input: what went in, what came out, by which bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits import __version__
from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.commit import WrittenFile, outputs_match, read_receipt
from batchdigits.files.inputs import Input, Targets
from batchdigits.rows.batch import RowOptions
from batchdigits.scoring.ledger import Ledger

RECEIPT_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Key:
    """What decides the bytes of an output, besides the input: same key and input, same output.

    bundle   name, version and digest of the bundle
    options  the options that change what is written, by the names of their flags
    """

    bundle: dict[str, Any]
    options: dict[str, Any]

    def is_of(self, receipt: dict[str, Any]) -> bool:
        """Whether the receipt was written under this key."""
        digest = receipt.get("bundle", {}).get("digest")
        return digest == self.bundle["digest"] and receipt.get("options") == self.options


def new_receipt(
    *,
    entry: Input,
    digest: str,
    key: Key,
    ledger: Ledger,
    suspicion: str | None,
    exit_code: int,
    times: dict[str, Any],
) -> dict[str, Any]:
    """The receipt but for its outputs, which the commit adds."""
    return {
        "format": RECEIPT_FORMAT,
        "batchdigits": __version__,
        "exit_code": exit_code,
        **times,
        "input": {"path": entry.name, "sha256": digest},
        "bundle": key.bundle,
        "options": key.options,
        "rows_in": ledger.rows_in,
        "rows_predicted": ledger.rows_predicted,
        "rows_rejected": ledger.rows_rejected,
        "reasons": ledger.ordered_reasons(),
        "suspicion": suspicion,
    }


def finished_receipt(entry: Input, targets: Targets, key: Key) -> dict[str, Any] | None:
    """The receipt that says this very work is done and its outputs are whole, else None."""
    receipt = read_receipt(targets.receipt)
    if receipt is None or entry.path is None or not key.is_of(receipt):
        return None
    from batchdigits.files.digest import digest_file

    if receipt.get("input", {}).get("sha256") != digest_file(entry.path):
        return None
    return receipt if outputs_match(targets, receipt) else None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it was read.

    input        the input as it was named, "-" for standard input; `input_digest` its sha256:…
    bundle       name, version and digest
    rows         how the input was read; `engine` and `probabilities` how it was scored
    reasons      rejects by reason
    predictions  the output of that name beside the receipt; `rejects` None where there were none
    """

    path: Path
    input: str
    input_digest: str
    bundle: Mapping[str, str]
    rows: RowOptions
    engine: str
    probabilities: bool
    rows_in: int
    rows_predicted: int
    rows_rejected: int
    reasons: Mapping[str, int]
    predictions: WrittenFile
    rejects: WrittenFile | None


def open_receipt(path: Path) -> Receipt:
    """The receipt in a file.

    Raises NoInputError when it is absent, UnusableInputError when it is no receipt of this format,
    IOFailedError when it can't be read.
    """
    if not os.path.lexists(path):
        raise NoInputError(f"{path}: no such file; give the receipt that predict wrote")
    found = read_receipt(path)
    if found is None:
        raise UnusableInputError(f"{path}: is no receipt; give the .receipt.json predict wrote")
    if found.get("format") != RECEIPT_FORMAT:
        raise UnusableInputError(
            f"{path}: receipt format {found.get('format')!r}, this batchdigits reads "
            f"{RECEIPT_FORMAT}; use the version that wrote it"
        )
    return _parse(path, found)


def _parse(path: Path, found: Mapping[str, Any]) -> Receipt:
    match found:
        case {
            "input": {"path": str(name), "sha256": str(digest)},
            "bundle": {"name": str(), "version": str(), "digest": str()} as bundle,
            "options": {"engine": str(engine), "probabilities": bool(probabilities)} as options,
            "rows_in": int(rows_in),
            "rows_predicted": int(predicted),
            "rows_rejected": int(rejected),
            "reasons": dict(reasons),
            "outputs": {"predictions": dict(predictions), "rejects": (dict() | None) as rejects},
        }:
            return Receipt(
                path=path,
                input=name,
                input_digest=digest,
                bundle=bundle,
                rows=_row_options(path, options),
                engine=engine,
                probabilities=probabilities,
                rows_in=rows_in,
                rows_predicted=predicted,
                rows_rejected=rejected,
                reasons=reasons,
                predictions=_output(path, predictions),
                rejects=None if rejects is None else _output(path, rejects),
            )
    raise _damaged(path, "a field is missing or of another type")


def _row_options(path: Path, options: Mapping[str, Any]) -> RowOptions:
    match options:
        case {
            "pixels": (str() | None) as pixels,
            "header": bool(header),
            "delimiter": str(delimiter),
            "scale": (float() | int() | None) as scale,
            "keep": (list() | None) as keep,
        }:
            kept = None if keep is None else tuple(map(str, keep))
            return RowOptions(pixels, header, delimiter, scale, kept)
    raise _damaged(path, "its options are not those of predict")


def _output(path: Path, entry: Mapping[str, Any]) -> WrittenFile:
    """An output that a receipt names: a file in its own folder."""
    match entry:
        case {"path": str(name), "sha256": str(digest), "bytes": int(size)} if (
            name == Path(name).name
        ):
            return WrittenFile(path.with_name(name), digest, size)
    raise _damaged(path, "an output is not a file beside it with digest and size")


def _damaged(path: Path, what: str) -> UnusableInputError:
    return UnusableInputError(f"{path}: is a damaged receipt: {what}; run predict again")
