"""The receipt of one finished input: what went in, what came out, by which bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchdigits import __version__
from batchdigits.files.commit import outputs_match, read_receipt
from batchdigits.files.inputs import Input, Targets
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
