"""docs/reference/fields.md: columns, causes, summary and receipt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from documented_fields import check_fields
from pages import code, reference, table
from scored_cells import Cell, write_cells

from batchdigits.fields.__main__ import main
from batchdigits.fields.columns import ADDED_COLUMNS, CAUSES

PAGE = reference("fields")


def test_every_column_and_every_cause_is_in_its_table() -> None:
    assert [code(row[0]) for row in table(PAGE, "column")] == list(ADDED_COLUMNS)
    assert {code(cause): meaning for cause, meaning in table(PAGE, "cause")} == CAUSES


def test_summary_and_receipt_have_the_fields_in_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cells(Path("cells.csv"), [Cell("A", 1, "1"), Cell("A", 3, "3")])
    assert main(["cells.csv", "--group", "form", "--output", "fields.csv"]) == 0
    check_fields(table(PAGE, "summary"), json.loads(capsys.readouterr().out), "to_review")
    receipt = json.loads(Path("fields.fields.receipt.json").read_text())
    check_fields(table(PAGE, "receipt"), receipt, "to_review")
