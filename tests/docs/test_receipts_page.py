"""docs/reference/receipts.md: the fields of --json and the tolerance."""

from __future__ import annotations

import json
from pathlib import Path

from documented_fields import check_fields
from pages import reference, table
from processes import run_command

from batchdigits.scoring import rescore

PAGE = reference("receipts")


def test_receipts_json_has_the_fields_in_the_table(scored_folder: Path) -> None:
    ran = run_command("receipts", "verify", "out.receipt.json", "--json", cwd=scored_folder)
    assert ran.returncode == 0, ran.stderr
    check_fields(table(PAGE, "field of `--json`"), json.loads(ran.stdout), "bundle")
    assert f" {rescore.TOLERANCE:f}. " in PAGE
