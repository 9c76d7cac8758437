"""The receipt of a reviewed file: `NAME.reviewed.receipt.json`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from batchdigits._version import __version__
from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.commit import named_outputs, read_receipt
from batchdigits.files.digest import digest_file
from batchdigits.files.written import WrittenFile
from batchdigits.review.certificate import is_certificate
from batchdigits.scoring.ledger import are_counts

FORMAT = 1
KIND = "reviewed"

_NOWHERE = WrittenFile(Path(), "", 0)


@dataclass(frozen=True, slots=True)
class ReviewedReceipt:
    """What a reviewed file was made of, what was decided, and what may still be wrong.

    predictions    the name and the digest of the predictions beside it
    review         path and digest of the review's document; paths are relative to the receipt
    journals       path and digest of each journal, and its reviewer
    bundle         name, version and digest of the bundle that made the predictions
    rows           rows of the file; `counts` has them by who decided
    review_counts  the cells of the whole review: settled, changed, open, disputed
    certificate    of the whole review, which may be of several files

    A receipt that was read from a file also has its `path` and its `output`.
    """

    predictions: tuple[str, str]
    review: tuple[str, str]
    journals: tuple[tuple[str, str, str], ...]
    bundle: Mapping[str, str]
    rows: int
    counts: Mapping[str, int]
    review_counts: Mapping[str, int]
    certificate: Mapping[str, Any]
    times: Mapping[str, Any] = field(default_factory=dict)
    path: Path = Path()
    output: WrittenFile = _NOWHERE

    @property
    def reviewers(self) -> list[str]:
        return [reviewer for _, _, reviewer in self.journals]

    def facts(self) -> dict[str, Any]:
        """Return the receipt as its file holds it, without `outputs`, which the commit adds."""
        return {
            "format": FORMAT,
            "kind": KIND,
            "batchdigits": __version__,
            **self.times,
            "predictions": _file(*self.predictions),
            "review": _file(*self.review),
            "journals": [
                {**_file(path, digest), "reviewer": reviewer}
                for path, digest, reviewer in self.journals
            ],
            "bundle": dict(self.bundle),
            "rows": self.rows,
            "decided_by": dict(self.counts),
            "cells": dict(self.review_counts),
            "certificate": dict(self.certificate),
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a receipt of a reviewed file.

        Raises NoInputError if it is absent, UnusableInputError for anything else than such a
        receipt of this format.
        """
        if not os.path.lexists(path):
            raise NoInputError(f"{path}: no such file; give the receipt that `review apply` wrote")
        facts: Any = read_receipt(path)
        match facts:
            case {"kind": "reviewed", "format": version} if version != FORMAT:
                raise UnusableInputError(
                    f"{path}: receipt format {version!r}, this batchdigits reads {FORMAT}; use the "
                    "version that wrote it"
                )
            case {
                "kind": "reviewed",
                "predictions": {"path": str(name), "sha256": str(digest)},
                "review": {"path": str(document), "sha256": str(document_digest)},
                "journals": list(journals),
                "bundle": dict(bundle),
                "rows": rows,
                "decided_by": counts,
                "cells": cells,
                "certificate": dict(certificate),
            } if all(map(are_counts, ({"rows": rows}, counts, cells))):
                outputs = named_outputs(path.parent, facts)
                are_right = all(map(_is_journal, journals)) and is_certificate(certificate)
                if outputs is not None and are_right:
                    return cls(
                        (name, digest),
                        (document, document_digest),
                        tuple((j["path"], j["sha256"], j["reviewer"]) for j in journals),
                        bundle,
                        rows,
                        counts,
                        cells,
                        certificate,
                        path=path,
                        output=outputs[0],
                    )
        raise UnusableInputError(
            f"{path}: not the receipt of a reviewed file, or damaged; run `review apply` again"
        )

    @classmethod
    def read_or_none(cls, path: Path) -> Self | None:
        """Read a receipt; None if it is absent or not one."""
        try:
            return cls.read(path)
        except (NoInputError, UnusableInputError):
            return None

    def is_same_work(self, other: ReviewedReceipt) -> bool:
        """Tell whether the other was made of the same predictions, review and journals."""
        mine, theirs = (sorted((d, r) for _, d, r in each.journals) for each in (self, other))
        return (self.predictions, self.review[1], mine) == (
            *(other.predictions, other.review[1]),
            theirs,
        )

    def output_matches(self) -> bool:
        """Tell whether the reviewed file is as it was written."""
        return self.output.path.is_file() and digest_file(self.output.path) == self.output.digest


def describe_certificate(receipt: ReviewedReceipt) -> str:
    """Return the certificate in words."""
    facts = receipt.certificate
    caught = f"{facts['caught']} of {facts['planted']} planted cells caught"
    left, rows = facts["errors_left_at_most"], facts["accepted_errors_at_most"]
    if left is None:
        return f"{caught}: nothing bounds the errors that are left"
    text = (
        f"{caught}; with 99 % confidence at most {left} of {facts['settled']} settled cells are "
        "still wrong"
    )
    if rows is None:
        return f"{text}; nothing bounds the errors among the {facts['accepted']} accepted rows"
    share = 100 * facts["accepted_error_at_most"]
    return f"{text}, and at most {rows} of {facts['accepted']} accepted rows ({share:.2g} %)"


def _file(path: str, digest: str) -> dict[str, str]:
    return {"path": path, "sha256": digest}


def _is_journal(value: Any) -> bool:
    match value:
        case {"path": str(), "sha256": str(), "reviewer": str()}:
            return True
    return False
