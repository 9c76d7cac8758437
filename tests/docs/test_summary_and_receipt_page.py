"""docs/reference/summary-and-receipt.md: every field of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from documented_fields import check_fields
from pages import code, reference, section, table

from batchdigits.report.metrics import METRICS

PAGE = reference("summary-and-receipt")


def test_every_field_of_the_summary_is_in_its_table(summary: dict[str, Any]) -> None:
    check_fields(table(section(PAGE, "Summary"), "field"), summary)


def test_every_field_of_the_receipt_is_in_its_table(scored_folder: Path) -> None:
    receipt = json.loads((scored_folder / "out.receipt.json").read_text(encoding="utf-8"))
    check_fields(table(section(PAGE, "Receipt"), "field"), receipt, "counts", "looks")


def test_every_metric_is_in_its_table() -> None:
    rows = table(section(reference("predict"), "Metrics"), "`batchdigits_predict_last_…`")
    assert [code(row[0]) for row in rows] == list(METRICS)
