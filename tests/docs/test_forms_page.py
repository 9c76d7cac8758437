"""docs/reference/forms.md: reasons, columns and fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from crops import crop
from documented_fields import check_fields
from pages import code, reference, section, table
from PIL import Image

from batchdigits.forms.__main__ import main
from batchdigits.forms.columns import CELLS
from batchdigits.forms.pictures import REASONS

PAGE = reference("forms")


def test_every_reason_is_in_the_table() -> None:
    rows = table(PAGE, "reason")
    assert {code(reason): meaning for reason, meaning in rows} == REASONS


def test_every_column_is_in_the_table() -> None:
    names = [code(row[0]) for row in table(section(PAGE, "Crops"), "column")]
    assert [name for name in names if name != "label"] == CELLS.names


def test_summary_and_receipt_have_the_fields_in_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(crop()).save("a.png")
    assert main(["cells", "a.png", "--output", "rows.parquet", "--workers", "1"]) == 0
    check_fields(table(PAGE, "summary of `cells`"), json.loads(capsys.readouterr().out))
    receipt = json.loads(Path("rows.forms.receipt.json").read_text())
    check_fields(table(PAGE, "receipt of `cells`"), receipt)
