"""The receipt of one finished input: what went in, what came out, by which bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits._version import __version__
from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.commit import WrittenFile, named_outputs, outputs_match, read_receipt
from batchdigits.files.digest import digest_file
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets
from batchdigits.monitoring.drift import NOT_MEASURED, Drift
from batchdigits.rows.options import ReadOptions
from batchdigits.scoring.ledger import Ledger

RECEIPT_FORMAT = 1

_LATER_OPTIONS = {"review_below": None, "strangeness": False}
"""What receipts of older versions lack: none of their runs was asked for it."""


@dataclass(frozen=True, slots=True)
class Key:
    """What decides the bytes of an output, besides the input: same key and input, same output.

    bundle     name, version and digest of the bundle
    options    the options that change what is written, by the names of their flags
    signed_by  the id of the trusted key that signed the bundle, None if no signature was checked;
               it changes no byte and is told all the same
    """

    bundle: dict[str, Any]
    options: dict[str, Any]
    signed_by: str | None = None

    def is_of(self, receipt: Receipt) -> bool:
        """Whether the receipt was written under this key."""
        same_bundle = receipt.bundle["digest"] == self.bundle["digest"]
        return same_bundle and receipt.options == self.options


def new_receipt(
    *,
    input_file: InputFile,
    digest: str,
    key: Key,
    ledger: Ledger,
    suspicion: str | None,
    drift: Drift,
    exit_code: int,
    times: dict[str, Any],
) -> dict[str, Any]:
    """The receipt but for its outputs, which the commit adds."""
    return {
        "format": RECEIPT_FORMAT,
        "batchdigits": __version__,
        "exit_code": exit_code,
        **times,
        "input": {"path": input_file.name, "sha256": digest},
        "bundle": {**key.bundle, "signed_by": key.signed_by},
        "options": key.options,
        "rows_in": ledger.rows_in,
        "rows_predicted": ledger.rows_predicted,
        "rows_rejected": ledger.rows_rejected,
        "reasons": ledger.ordered_reasons(),
        "causes": ledger.ordered_causes(),
        "suspicion": suspicion,
        "drift": drift.facts,
        "estimated_accuracy": drift.estimated_accuracy,
    }


def finished_receipt(input_file: InputFile, targets: Targets, key: Key) -> Receipt | None:
    """The receipt that says this very work is done and its outputs are whole, else None.

    None also for a receipt that is damaged or of another format. Raises IOFailedError when it, the
    input or an output can't be read.
    """
    if input_file.path is None:
        return None
    try:
        receipt = open_receipt(targets.receipt)
    except (NoInputError, UnusableInputError):
        return None
    if not key.is_of(receipt) or receipt.input_digest != digest_file(input_file.path):
        return None
    outputs = [output for output in (receipt.predictions, receipt.rejects) if output is not None]
    return receipt if outputs_match(targets, outputs) else None


def why_not_finished(input_file: InputFile, targets: Targets, key: Key) -> str:
    """What tells the outputs that are there from those that this work would write, in a few words.

    For outputs that `finished_receipt` does not vouch for.
    """
    try:
        receipt = open_receipt(targets.receipt)
    except (NoInputError, UnusableInputError):
        return "and no receipt says what it came from"
    if receipt.bundle["digest"] != key.bundle["digest"]:
        was, now = (f"{one['name']}@{one['version']}" for one in (receipt.bundle, key.bundle))
        return f"and was scored with {was}, this run uses {now}"
    changed = [name for name in key.options if receipt.options.get(name) != key.options[name]]
    if changed:
        flags = ", ".join(
            f"{n}: {receipt.options.get(n)!r}, now {key.options[n]!r}" for n in changed
        )
        return f"and was written with other options ({flags})"
    if input_file.path is None or receipt.input_digest != digest_file(input_file.path):
        return f"and came from other content of {receipt.input}"
    return "and its outputs were moved or changed since they were written"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it was read.

    input        the input as it was named, "-" for standard input; `input_digest` its sha256:…
    bundle       name, version and digest
    options      what changed the bytes of the outputs, by the names of their flags; of them `rows`
                 is how the input was read, `engine` and `probabilities` how it was scored
    reasons      rejects by reason; `causes` rows that go to review by cause, None if none decided
    drift        how far the rows were from what the bundle was made of; not measured in receipts of
                 older versions
    predictions  the output of that name beside the receipt; `rejects` None where there were none
    """

    path: Path
    input: str
    input_digest: str
    bundle: Mapping[str, str]
    options: Mapping[str, Any]
    rows: ReadOptions
    engine: str
    probabilities: bool
    rows_in: int
    rows_predicted: int
    rows_rejected: int
    reasons: Mapping[str, int]
    causes: Mapping[str, int] | None
    drift: Drift
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
    outputs = named_outputs(path.parent, found)
    if outputs is None:
        raise _damaged(path, "an output is not a file beside it with digest and size")
    match found:
        case {
            "input": {"path": str(name), "sha256": str(digest)},
            "bundle": {"name": str(), "version": str(), "digest": str()} as bundle,
            "options": {"engine": str(engine), "probabilities": bool(probabilities)} as options,
            "rows_in": int(rows_in),
            "rows_predicted": int(predicted),
            "rows_rejected": int(rejected),
            "reasons": dict(reasons),
        } if all(isinstance(count, int) for count in reasons.values()):
            return Receipt(
                path=path,
                input=name,
                input_digest=digest,
                bundle=bundle,
                options={**_LATER_OPTIONS, **options},
                rows=_read_options(path, options),
                engine=engine,
                probabilities=probabilities,
                rows_in=rows_in,
                rows_predicted=predicted,
                rows_rejected=rejected,
                reasons=reasons,
                causes=_causes(path, found),
                drift=_drift(path, found),
                predictions=outputs[0],
                rejects=outputs[1] if len(outputs) > 1 else None,
            )
    raise _damaged(path, "a field is missing or of another type")


def _read_options(path: Path, options: Mapping[str, Any]) -> ReadOptions:
    try:
        return ReadOptions.of_facts(options)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _causes(path: Path, found: Mapping[str, Any]) -> Mapping[str, int] | None:
    causes = found.get("causes")
    if causes is None or (
        isinstance(causes, dict) and all(isinstance(count, int) for count in causes.values())
    ):
        return causes
    raise _damaged(path, "its causes of review are not counts")


def _drift(path: Path, found: Mapping[str, Any]) -> Drift:
    if found.get("drift") is None:
        return NOT_MEASURED
    match found:
        case {
            "drift": {
                "value": (float() | int() | None) as value,
                "largest": (str() | None) as largest,
            } as facts,
            "estimated_accuracy": (float() | int() | None) as accuracy,
        }:
            return Drift(value, largest, accuracy, facts)
    raise _damaged(path, "its drift is not as predict writes it")


def _damaged(path: Path, what: str) -> UnusableInputError:
    return UnusableInputError(f"{path}: is a damaged receipt: {what}; run predict again")
