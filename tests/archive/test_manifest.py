from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batchdigits.archive.classes import Classes
from batchdigits.archive.manifest import Manifest
from batchdigits.errors import BundleError


def changed(facts: Manifest, **keys: Any) -> bytes:
    document = json.loads(facts.to_json())
    document.update(keys)
    return json.dumps({key: value for key, value in document.items() if value != "GONE"}).encode()


def test_a_manifest_survives_the_round_trip(facts: Manifest) -> None:
    """What is written is what is read."""
    assert Manifest.parse(facts.to_json()) == facts


def test_the_same_facts_give_the_same_text(facts: Manifest) -> None:
    """Keys are sorted, so the order in which they were gathered does not matter."""
    other = replace(facts, split=dict(reversed(facts.split.items())))
    assert other.to_json() == facts.to_json()
    assert facts.to_json().endswith(b"}\n")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"version": 0}, "version is 0, expected a whole number from 1"),
        ({"version": True}, "version is True"),
        ({"version": "3"}, "version is '3'"),
        ({"name": "Digits"}, "name is 'Digits'"),
        ({"name": "../digits"}, "name is '../digits'"),
        ({"name": "digits.bundle"}, "name is 'digits.bundle'"),
        ({"created": "yesterday"}, "created is 'yesterday'"),
        ({"created": "2026-01-31T02:00:00+01:00"}, "created is"),
        ({"created": "2026-02-31T02:00:00Z"}, "created is"),
        ({"classes": {"type": "int64", "values": [1]}}, "there are 1, expected 2 to 1000"),
        ({"classes": {"type": "int64", "values": [1, 1]}}, "a label is there twice"),
        (
            {"classes": {"type": "int64", "values": [1, True]}},
            "is among them, expected values of type int64",
        ),
        (
            {"classes": {"type": "int64", "values": [1, 2**63]}},
            "is among them, expected values of type int64",
        ),
        (
            {"classes": {"type": "string", "values": ["a", "\ud800"]}},
            "is among them, expected values of type string",
        ),
        ({"classes": {"type": "object", "values": [1, 2]}}, "classes.type is 'object'"),
        ({"classes": {"type": [], "values": [1, 2]}}, "classes.type is []"),
        ({"classes": {"type": "int64"}}, "classes is"),
        ({"features": {"names": [], "order": "row-major 8x8", "range": [0, 16]}}, "features is"),
        ({"metrics": {}}, "metrics lacks accuracy"),
        ({"metrics": {"accuracy": 97.5}}, "expected a number in 0..1"),
        ({"data": {"rows": 3}}, "data lacks description, digest"),
        ({"architecture": []}, "architecture is [], expected an object"),
        ({"libraries": {"numpy": 2}}, "libraries.numpy is 2, expected a version as text"),
        ({"members": {"card.md": {"sha256": "00", "size": 1}}}, "members.card.md.sha256 is '00'"),
        ({"members": {"card.md": {"sha256": "0" * 64, "size": -1}}}, "members.card.md.size is -1"),
        ({"members": {"card.md": 3}}, "members.card.md is 3"),
        ({"members": []}, "members is []"),
        ({"command": 3}, "command is 3, expected text"),
        ({"split": "GONE", "metrics": "GONE"}, "lacks metrics, split"),
    ],
)
def test_a_fact_that_is_not_as_it_should_be_is_named(
    facts: Manifest, keys: dict[str, Any], told: str
) -> None:
    """The message says which key, what it holds and what was expected."""
    with pytest.raises(BundleError) as caught:
        Manifest.parse(changed(facts, **keys))
    assert told in str(caught.value)


def test_a_newer_format_says_who_reads_it(facts: Manifest) -> None:
    """Whatever else the manifest holds, the format is looked at first."""
    newer = changed(facts, format=2, reader="batchdigits 0.9 or later", classes="GONE")
    with pytest.raises(BundleError, match=r"format 2.* up to 1: batchdigits 0\.9 or later reads"):
        Manifest.parse(newer)


@pytest.mark.parametrize("version", [0, "1", None, 1.0, True])
def test_a_format_that_is_no_number_is_refused(facts: Manifest, version: object) -> None:
    """JSON's true and 1.0 are no format versions."""
    with pytest.raises(BundleError, match="format is"):
        Manifest.parse(changed(facts, format=version))


def test_unknown_keys_are_allowed(facts: Manifest) -> None:
    """A later writer of the same format may add facts."""
    assert Manifest.parse(changed(facts, weather="fine")) == facts


def test_doubled_keys_are_refused(facts: Manifest) -> None:
    """Two readers could take one each; in nested objects too."""
    text = facts.to_json().decode()
    doubled = text.replace('"version": 1', '"version": 1, "version": 2')
    with pytest.raises(BundleError, match="a key twice: version"):
        Manifest.parse(doubled.encode())
    nested = text.replace('"units": 500', '"units": 500, "units": 5')
    with pytest.raises(BundleError, match="a key twice: units"):
        Manifest.parse(nested.encode())


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 400 + ".5"])
def test_a_number_that_no_float_holds_is_refused(facts: Manifest, number: str) -> None:
    """Python would read it as Infinity, others would not."""
    text = facts.to_json().decode().replace('"units": 500', f'"units": {number}')
    with pytest.raises(BundleError, match=f"holds {number[:40]}.*too large"):
        Manifest.parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"format": 1, "metrics": NaN}', b"{}"],
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    """Never with another exception than BundleError."""
    with pytest.raises(BundleError):
        Manifest.parse(text)


def test_a_giant_manifest_is_refused() -> None:
    """Before it is parsed."""
    with pytest.raises(BundleError, match="at most 1048576"):
        Manifest.parse(b" " * 1_048_577)


@pytest.mark.parametrize(
    ("values", "class_type", "arrow_type"),
    [
        (np.array([0, 1, 2]), "int64", pa.int64()),
        (np.array([0, 1], np.uint8), "int64", pa.int64()),
        (np.array([1.5, 2.5]), "double", pa.float64()),
        (np.array([False, True]), "bool", pa.bool_()),
        (np.array(["a", "bc"]), "string", pa.string()),
        (np.array(["", "ä", "数字", "null"]), "string", pa.string()),
        (np.array(["a", "bc"], object), "string", pa.string()),
    ],
)
def test_classes_keep_the_type_of_the_labels(
    values: np.ndarray, class_type: str, arrow_type: pa.DataType
) -> None:
    """What the binarizer was fitted with is what `prediction` will hold."""
    classes = Classes.of(values)
    assert (classes.type, len(classes)) == (class_type, len(values))
    assert classes.arrow_type() == arrow_type
    assert classes.array() == pa.array(values.tolist(), type=arrow_type)
    classes.array().validate(full=True)


@pytest.mark.parametrize("values", [np.array([1, "a"], object), np.array([1]), np.array([1j, 2])])
def test_labels_that_no_column_holds_are_refused(values: np.ndarray) -> None:
    """Mixed or complex labels, or a single one."""
    with pytest.raises(BundleError):
        Classes.of(values)
