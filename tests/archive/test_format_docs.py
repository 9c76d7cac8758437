from __future__ import annotations

from dataclasses import fields

import pytest
from paths import ROOT

from batchdigits.archive.bundle_file import OPTIONAL_MEMBERS, REQUIRED_MEMBERS
from batchdigits.archive.classes import MAX_CLASSES
from batchdigits.archive.container import MAX_FILE_BYTES, MAX_MEMBERS
from batchdigits.archive.manifest import FORMAT, Manifest

TEXT = (ROOT / "docs" / "bundle-format.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "row",
    [
        *(f"| `{name}` |" for name in sorted(REQUIRED_MEMBERS | OPTIONAL_MEMBERS)),
        *(f"| `{one.name}` |" for one in fields(Manifest)),
        f"**format {FORMAT}**",
        f"({MAX_FILE_BYTES:,} bytes)",
        f"| members | {MAX_MEMBERS} |",
        f"| classes | {MAX_CLASSES:,} |",
    ],
)
def test_the_page_on_the_format_keeps_up(row: str) -> None:
    """Every member, every key of the manifest and every limit stands in docs/bundle-format.md."""
    assert row in TEXT
