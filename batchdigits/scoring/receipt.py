"""The receipt of one finished input file: its input, its outputs, its counts and its bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from batchdigits._version import __version__
from batchdigits.archive.manifest import is_bundle_name
from batchdigits.errors import NoInputError, UnusableInputError, UsageError, is_exit_code
from batchdigits.files.commit import (
    MAX_RECEIPT_BYTES,
    named_outputs,
    outputs_match,
    read_receipt,
)
from batchdigits.files.digest import digest_file, is_digest
from batchdigits.files.names import InputFile, Partitions
from batchdigits.files.objects.client import Version
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.targets import Targets
from batchdigits.files.written import WrittenFile, is_present
from batchdigits.monitoring.drift import NOT_MEASURED, Drift
from batchdigits.rows.options import LATER_OPTIONS, ReadOptions
from batchdigits.scoring.ledger import Counts

RECEIPT_FORMAT = 1

PREDICT = "predict"
"""The kind of predict's receipts, the only ones without the key `kind`."""

_TIMES = ("started", "finished", "seconds")
_NOWHERE = WrittenFile(Path(), "", 0)

_DECISION = "decision"

_LATER_OPTIONS = {
    "review_below": None,
    "strangeness": False,
    "keep_pixels": False,
    "row_number": False,
    **LATER_OPTIONS,
}
"""Options that receipts of older versions lack, with the values that those runs had."""


@dataclass(frozen=True, slots=True)
class Key:
    """The bundle and the options, which with the input file decide the bytes of an output.

    bundle     name, version and digest of the bundle
    options    the options that change an output, by the names of their flags, and `decision`:
               whether the outputs have the columns `decision` and `cause`
    signed_by  the id of the trusted key that signed the bundle, None if no signature was checked;
               it changes no output
    partitions the columns that the input file's folders stand for
    """

    bundle: Mapping[str, str]
    options: Mapping[str, Any]
    signed_by: str | None = None
    partitions: Partitions = ()

    def of(self, input_file: InputFile) -> Key:
        """Return the key of the work on one input file."""
        return replace(self, partitions=input_file.partitions)

    def is_same(self, other: Key) -> bool:
        """Tell whether the other, of a receipt, stands for the same outputs.

        Receipts of older versions lack `decision`: what they stand for is finished either way.
        """
        if (self.bundle["digest"], self.partitions) != (other.bundle["digest"], other.partitions):
            return False
        return self.options == {_DECISION: self.options[_DECISION], **other.options}


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of predict.

    input         the input file as the user named it, "-" for standard input
    input_digest  its sha256:…
    input_version of an object, the version that was read
    suspicion     what the rows looked like instead of digits, if that was allowed
    drift         the drift from the bundle's training data; NOT_MEASURED in older receipts
    times         `started`, `finished` and `seconds`

    A receipt that was read from a file also has:

    path          that file
    predictions   the output with the predictions; `rejects` the one with the rejects, if any
    """

    input: str
    input_digest: str
    key: Key
    counts: Counts
    suspicion: str | None
    drift: Drift
    exit_code: int = 0
    times: Mapping[str, Any] = field(default_factory=dict)
    input_version: Version | None = None
    path: Path = Path()
    predictions: WrittenFile = _NOWHERE
    rejects: WrittenFile | None = None

    @property
    def read_options(self) -> ReadOptions:
        return ReadOptions.of_facts(self.key.options)

    def _repr_html_(self) -> str:
        """Return a small table for a notebook."""
        from batchdigits.html import facts_table

        counts = self.counts
        return facts_table(
            f"receipt of {self.input}",
            {
                "bundle": f"{self.key.bundle['name']}@{self.key.bundle['version']}",
                "rows in": f"{counts.rows_in:,}",
                "predicted": f"{counts.rows_predicted:,}",
                "rejected": f"{counts.rows_rejected:,}",
                "to review": "" if counts.rows_to_review is None else f"{counts.rows_to_review:,}",
                "drift": "" if self.drift.value is None else self.drift.value,
                "finished": self.times.get("finished", ""),
                "predictions": self.predictions.path,
            },
        )

    def facts(self) -> dict[str, Any]:
        """Return the receipt as its file holds it, without `outputs`, which the commit adds."""
        counts, partitions = self.counts.facts(), dict(self.key.partitions)
        del counts["rows_to_review"]
        return {
            "format": RECEIPT_FORMAT,
            "batchdigits": __version__,
            "exit_code": self.exit_code,
            **self.times,
            "input": {
                "path": self.input,
                "sha256": self.input_digest,
                **({} if self.input_version is None else _version_facts(self.input_version)),
                **({"partitions": partitions} if partitions else {}),
            },
            "bundle": {**self.key.bundle, "signed_by": self.key.signed_by},
            "options": dict(self.key.options),
            **counts,
            "suspicion": self.suspicion,
            "drift": self.drift.facts,
            "estimated_accuracy": self.drift.estimated_accuracy,
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a receipt.

        Raises NoInputError if it is absent, UnusableInputError for another file, another format or
        a receipt of another kind, IOFailedError if it can't be read.
        """
        if not is_present(path):
            raise NoInputError(f"{path}: no such file; give the receipt that predict wrote")
        facts = read_receipt(path)
        if facts is None:
            raise UnusableInputError(
                f"{path}: not a receipt, which is a JSON file of at most {MAX_RECEIPT_BYTES} "
                "bytes and not a link; give the .receipt.json that predict wrote"
            )
        if facts.get("kind", PREDICT) != PREDICT:
            raise UnusableInputError(
                f"{path}: a receipt of kind {facts['kind']!r}, expected one of predict; give the "
                ".receipt.json that predict wrote"
            )
        if facts.get("format") is True or facts.get("format") != RECEIPT_FORMAT:
            raise UnusableInputError(
                f"{path}: receipt format {facts.get('format')!r}, this batchdigits reads "
                f"{RECEIPT_FORMAT}; use the version that wrote it"
            )
        try:
            return cls._parse(path, facts)
        except ValueError as error:
            raise UnusableInputError(
                f"{path}: a damaged receipt: {error}; run predict again"
            ) from error

    @classmethod
    def _parse(cls, path: Path, facts: Mapping[str, Any]) -> Self:
        outputs = named_outputs(path.parent, facts)
        if outputs is None:
            raise ValueError("an output is not a file of its folder with digest and size")
        exit_code = facts.get("exit_code", 0)
        if not is_exit_code(exit_code):
            raise ValueError("its exit code is none that predict has")
        match facts:
            case {
                "input": {"path": str(name), "sha256": str(digest)} as origin,
                "bundle": {"name": str(), "version": str(), "digest": str()} as bundle,
                "options": {"engine": str(), "probabilities": bool()} as options,
            }:
                _check_options(options)
                _check_bundle(bundle)
                return cls(
                    input=name,
                    input_digest=digest,
                    input_version=Version.of_facts(origin.get("bytes", -1), origin),
                    key=Key(
                        bundle,
                        {**_LATER_OPTIONS, **options},
                        bundle.get("signed_by"),
                        _parse_partitions(origin.get("partitions", {})),
                    ),
                    counts=Counts.of_facts(facts),
                    suspicion=facts.get("suspicion"),
                    drift=_parse_drift(facts),
                    exit_code=exit_code,
                    times={name: facts[name] for name in _TIMES if name in facts},
                    path=path,
                    predictions=outputs[0],
                    rejects=outputs[1] if len(outputs) > 1 else None,
                )
        raise ValueError("a field is missing or of another type")


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise ValueError for options with which predict could not have run."""
    keep, least = options.get("keep"), options.get("review_below")
    if isinstance(keep, list) and not all(isinstance(name, str) for name in keep):
        raise ValueError("its options are not those of predict (keep)")
    if least is not None and not (type(least) in (int, float) and 0 <= least <= 1):
        raise ValueError("its options are not those of predict (review_below)")
    try:
        ReadOptions.of_facts(options).checked()
    except UsageError as error:
        raise ValueError(f"its options are not those of predict ({error})") from error


def _check_bundle(facts: Mapping[str, Any]) -> None:
    """Raise ValueError unless name, version and digest, and a signing key, can be a bundle's."""
    name, version, key = facts["name"], facts["version"], facts.get("signed_by")
    digests = [facts["digest"]] if key is None else [facts["digest"], key]
    if not is_bundle_name(name) or not re.fullmatch("[1-9][0-9]{0,9}", version):
        raise ValueError("its bundle has no name and version that a bundle can have")
    if not all(isinstance(digest, str) and is_digest(digest) for digest in digests):
        raise ValueError("the digest of its bundle, or its signing key, is not a digest")


def _parse_partitions(facts: Any) -> Partitions:
    """Raise ValueError for anything but a table of texts and nulls."""
    values = list(facts.values()) if isinstance(facts, dict) else [0]
    if not all(value is None or isinstance(value, str) for value in values):
        raise ValueError("the partitions of its input are not a table of texts")
    return tuple(facts.items())


def _parse_drift(facts: Mapping[str, Any]) -> Drift:
    if facts.get("drift") is None:
        return NOT_MEASURED
    return Drift.of_facts(facts["drift"], facts.get("estimated_accuracy"))


def finished_receipt(
    input_file: InputFile,
    targets: Targets,
    key: Key,
    *,
    other: bool = False,
    trust_etag: bool = False,
) -> Receipt | None:
    """Return the receipt if it is of the same work and its outputs are complete, else None.

    With `other` the bundle and the options may be others, but not the content of the input file.
    With `trust_etag` an object of the receipt's version has its content, and is not read.

    Returns None also for a receipt that is damaged or of another format, or whose counts don't add
    up. Raises IOFailedError if the receipt, the input file or an output can't be read.
    """
    receipt = _readable(targets.receipt)
    if input_file.path is None or receipt is None or not receipt.counts.add_up:
        return None
    if not other and not key.is_same(receipt.key):
        return None
    same = trust_etag and receipt.input_version and version_of(input_file) == receipt.input_version
    if not same and receipt.input_digest != digest_file(input_file.path):
        return None
    outputs = [output for output in (receipt.predictions, receipt.rejects) if output is not None]
    return receipt if outputs_match(targets, outputs, trust_etag=trust_etag) else None


def version_of(input_file: InputFile) -> Version | None:
    """Return the version of an input file that is an object; None of any other."""
    path = input_file.path
    return path.version() if isinstance(path, ObjectPath) else None


def _version_facts(version: Version) -> dict[str, Any]:
    return {"bytes": version.size, **version.facts}


def outdated_review(targets: Targets) -> Path | None:
    """Return the reviewed file beside the predictions if it was made of other predictions.

    None if there is no reviewed file, or it was made of these. Raises IOFailedError if a receipt
    can't be read.
    """
    stem = targets.receipt.name.removesuffix(".receipt.json")
    path = targets.receipt.with_name(f"{stem}.reviewed.receipt.json")
    if not path.exists():
        return None
    match read_receipt(path), read_receipt(targets.receipt):
        case (
            {"predictions": {"sha256": str(was)}, "outputs": {"predictions": {"path": str(name)}}},
            {"outputs": {"predictions": {"sha256": str(now)}}},
        ) if was != now:
            return path.with_name(name)
    return None


def why_not_finished(input_file: InputFile, targets: Targets, key: Key) -> str:
    """Say in a few words how existing outputs differ from those that this work would write.

    Call it for outputs without a `finished_receipt`.
    """
    receipt = _readable(targets.receipt)
    if receipt is None:
        return "and no receipt says what it came from"
    old = receipt.key
    if old.bundle["digest"] != key.bundle["digest"]:
        first, second = (f"{made.bundle['name']}@{made.bundle['version']}" for made in (old, key))
        return f"and was scored with {first}, this run uses {second}"
    was = {**old.options, "partitions": dict(old.partitions)}
    now = {**key.options, "partitions": dict(key.partitions)}
    changed = [name for name, value in now.items() if was.get(name, value) != value]
    if changed:
        flags = ", ".join(f"{name}: {was.get(name)!r}, now {now[name]!r}" for name in changed)
        return f"and was written with other options ({flags})"
    if input_file.path is None or receipt.input_digest != digest_file(input_file.path):
        return f"and came from other content of {receipt.input}"
    if not receipt.counts.add_up:
        return "and the counts of its receipt don't add up"
    return _why_outputs_differ(receipt, targets)


def _why_outputs_differ(receipt: Receipt, targets: Targets) -> str:
    name = receipt.predictions.path.name
    if name != targets.predictions.name:
        return f"and is the receipt of {name}"
    if receipt.rejects is None and is_present(targets.rejects):
        return f"and its receipt names no rejects, but {targets.rejects.name} is there"
    return "and its outputs were moved or changed since they were written"


def _readable(path: Path) -> Receipt | None:
    try:
        return Receipt.read(path)
    except (NoInputError, UnusableInputError):
        return None
