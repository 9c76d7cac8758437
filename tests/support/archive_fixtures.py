"""A bundle of made-up members: the archive floor takes them as bytes."""

from __future__ import annotations

import pytest

from batchdigits.archive.bundle_file import MANIFEST, REQUIRED_MEMBERS, build_bundle
from batchdigits.archive.classes import Classes
from batchdigits.archive.manifest import Manifest


@pytest.fixture
def facts() -> Manifest:
    return Manifest(
        name="digits",
        version=1,
        created="2026-01-31T02:00:00Z",
        classes=Classes("int64", (0, 1, 2)),
        architecture={"name": "mlp", "hyperparameters": {"units": 500}},
        data={"description": "made up", "digest": "sha256:" + "0" * 64, "rows": 30},
        split={"test_share": 0.3, "seed": 0},
        metrics={"accuracy": 0.975},
        libraries={"numpy": "2.4.0"},
    )


@pytest.fixture
def members() -> dict[str, bytes]:
    return {name: f"bytes of {name}".encode() * 9 for name in REQUIRED_MEMBERS - {MANIFEST}}


@pytest.fixture
def packed(facts: Manifest, members: dict[str, bytes]) -> bytes:
    return build_bundle(facts, members)
