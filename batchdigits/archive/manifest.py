"""The manifest: the facts of a bundle, read from and written to `manifest.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self, TypeAlias

from batchdigits.archive.classes import Classes, wrong_fact
from batchdigits.archive.strict_json import parse_json
from batchdigits.archive.thresholds import Thresholds
from batchdigits.errors import BundleError, unsound_bundle
from batchdigits.images import DARKEST, PIXELS, SIDE
from batchdigits.text import listing

FORMAT = 1
READER = "batchdigits 0.1 or later"
MAX_MANIFEST_BYTES = 1024 * 1024

Facts: TypeAlias = Mapping[str, Any]

FEATURES: dict[str, Any] = {
    "names": [f"pixel_{number}" for number in range(PIXELS)],
    "order": f"row-major {SIDE}x{SIDE}",
    "range": [0, DARKEST],
}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def is_bundle_name(name: str) -> bool:
    """Return whether a bundle may have this name: lower-case letters, digits, `.`, `_`, `-`."""
    return _NAME.fullmatch(name) is not None and not name.endswith(".bundle")


@dataclass(frozen=True, slots=True)
class MemberFact:
    """One member in the manifest: 64 hexadecimal digits of its sha256, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts of one bundle; docs/bundle-format.md lists every key.

    `created` is ISO-8601 in UTC and ends in Z. `metrics["accuracy"]` is a number in 0..1,
    measured on rows that the model did not see. Facts that the format leaves open (`split`, the
    rest of `metrics`, `recipe`, …) are plain JSON values. `build_bundle` fills `members`. `reader`
    tells the users of an older batchdigits which version to install.
    """

    name: str
    version: int
    created: str
    classes: Classes
    architecture: Facts
    data: Facts
    split: Facts
    metrics: Facts
    libraries: Mapping[str, str]
    thresholds: Thresholds = field(default_factory=Thresholds)
    recipe: Facts = field(default_factory=dict)
    command: str = ""
    members: Mapping[str, MemberFact] = field(default_factory=dict)
    features: Facts = field(default_factory=lambda: dict(FEATURES))
    format: int = FORMAT
    reader: str = READER

    def __repr__(self) -> str:
        return f"<Manifest of {self.name}@{self.version}, {len(self.classes)} classes>"

    @property
    def accuracy(self) -> float:
        """Share of the held-out rows that were predicted right, 0..1."""
        return float(self.metrics["accuracy"])

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Parse the bytes of `manifest.json`.

        Keys that this version does not know are allowed and dropped: within one format they can't
        change what a prediction means. Raises BundleError for everything else that differs from
        docs/bundle-format.md, a newer format version first.
        """
        document = parse_json(text, "manifest.json", MAX_MANIFEST_BYTES)
        if not isinstance(document, dict):
            raise BundleError(f"manifest.json holds a {_kind(document)}, expected an object")
        _check_format(document)
        missing = sorted(set(_PARSERS) - set(document))
        if missing:
            raise unsound_bundle(f"manifest.json lacks {listing(missing)}")
        parsed = {key: parse(document[key]) for key, parse in _PARSERS.items()}
        for key, parse in _OPTIONAL_PARSERS.items():
            if key in document:
                parsed[key] = parse(document[key])
        return cls(format=FORMAT, **parsed)

    def to_json(self) -> bytes:
        """Return the one JSON text of these facts: keys sorted, two spaces, a final newline."""
        document = asdict(self) | {"thresholds": dict(self.thresholds.facts)}
        text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()


def _check_format(document: Mapping[str, Any]) -> None:
    version = document.get("format")
    if type(version) is not int or version < 1:
        raise BundleError(f"manifest.json: format is {version!r}, expected a whole number from 1")
    if version > FORMAT:
        reader = document.get("reader")
        by = reader[:80] if isinstance(reader, str) else "a later batchdigits"
        raise BundleError(
            f"is of bundle format {version}, this batchdigits reads up to {FORMAT}: {by} reads it"
        )


def _parse_name(value: Any) -> str:
    if not isinstance(value, str) or not is_bundle_name(value):
        raise wrong_fact("name", value, "lower-case letters, digits, '.', '_' and '-'")
    return value


def _parse_version(value: Any) -> int:
    if type(value) is not int or not 1 <= value < 2**31:
        raise wrong_fact("version", value, "a whole number from 1")
    return value


def _parse_created(value: Any) -> str:
    expected = "a time in UTC such as 2026-01-31T02:00:00Z"
    if not isinstance(value, str) or not _CREATED.fullmatch(value):
        raise wrong_fact("created", value, expected)
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise wrong_fact("created", value, expected) from error
    return value


def _parse_members(value: Any) -> dict[str, MemberFact]:
    if not isinstance(value, dict):
        raise wrong_fact("members", value, "an object of member names")
    return {name: _parse_member(name, fact) for name, fact in value.items()}


def _parse_member(name: str, value: Any) -> MemberFact:
    expected = '{"sha256": 64 hexadecimal digits, "size": bytes}'
    if not isinstance(value, dict):
        raise wrong_fact(f"members.{name}", value, expected)
    sha256, size = value.get("sha256"), value.get("size")
    if not isinstance(sha256, str) or not _DIGEST.fullmatch(sha256):
        raise wrong_fact(f"members.{name}.sha256", sha256, expected)
    if type(size) is not int or size < 0:
        raise wrong_fact(f"members.{name}.size", size, expected)
    return MemberFact(sha256, size)


def _parse_features(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or any(value.get(key) != FEATURES[key] for key in FEATURES):
        raise wrong_fact("features", value, "pixel_0 … pixel_63, row-major 8x8, range [0, 16]")
    return value


def _parse_facts(key: str, needed: Iterable[str] = ()) -> Callable[[Any], dict[str, Any]]:
    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise wrong_fact(key, value, "an object")
        missing = sorted(set(needed) - set(value))
        if missing:
            raise BundleError(f"manifest.json: {key} lacks {listing(missing)}")
        return value

    return parse


def _parse_metrics(value: Any) -> dict[str, Any]:
    metrics = _parse_facts("metrics", ("accuracy",))(value)
    accuracy = metrics["accuracy"]
    if type(accuracy) not in (int, float) or not 0 <= accuracy <= 1:
        raise wrong_fact("metrics.accuracy", accuracy, "a number in 0..1")
    return metrics


def _parse_libraries(value: Any) -> dict[str, str]:
    libraries = _parse_facts("libraries")(value)
    odd = [name for name, version in libraries.items() if not isinstance(version, str)]
    if odd:
        raise wrong_fact(f"libraries.{odd[0]}", libraries[odd[0]], "a version as text")
    return libraries


def _parse_command(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_fact("command", value, "text")
    return value


def _kind(value: Any) -> str:
    return {list: "list", str: "text", type(None): "null"}.get(type(value), "number or boolean")


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "name": _parse_name,
    "version": _parse_version,
    "created": _parse_created,
    "members": _parse_members,
    "features": _parse_features,
    "classes": Classes.parse,
    "architecture": _parse_facts("architecture", ("name", "hyperparameters")),
    "data": _parse_facts("data", ("description", "digest", "rows")),
    "split": _parse_facts("split"),
    "metrics": _parse_metrics,
    "libraries": _parse_libraries,
    "thresholds": Thresholds.parse,
}
_OPTIONAL_PARSERS: dict[str, Callable[[Any], Any]] = {
    "recipe": _parse_facts("recipe"),
    "command": _parse_command,
}
