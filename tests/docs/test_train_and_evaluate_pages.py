"""docs/reference/train.md and evaluate.md: recipes, and the fields that both commands print."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from documented_fields import check_fields
from pages import codes, reference, table
from paths import ROOT, SAMPLE_DATA
from processes import run_command

from batchdigits.training.settings import NETWORKS, RECIPES, SETTINGS, make_settings


def test_recipes_hold_what_the_table_says() -> None:
    rows = table(reference("train"), "recipe")
    assert [row[:2] for row in rows] == [[r, arch] for r in RECIPES for arch in NETWORKS]
    for recipe, arch, *values in rows:
        made = make_settings(arch=arch, recipe=recipe)
        reads = f"{made.window or 8} {made.bands if made.window else 1}"
        members = f"{made.members} {made.redrawn_members}"
        seen = f"{reads} {made.noise:g} {members} {made.teachers}"
        shape = f"{made.layers} {made.units} {made.dropout:g} {seen}"
        steps = f"{made.optimizer} {made.learning_rate:g} {made.epochs} {made.batch_size}"
        extra = f"{made.copies} {made.redrawn:g} {made.shapes} {made.calibration_folds}"
        assert values == f"{shape} {steps} {extra}".split()


def test_flags_of_settings_are_described_as_in_their_table() -> None:
    """The help of the command and the page have the same words."""
    rows = table(reference("train"), "flag")
    flags = [setting for setting in SETTINGS if setting.metavar is not None]
    for setting, row in zip(flags, rows, strict=False):
        assert [cell.replace("`", "") for cell in row] == [
            f"{setting.flag} {setting.metavar}",
            {"the recipe's": "recipe"}.get(setting.default_words, setting.default_words),
            setting.help,
        ]


def test_sweeps_vary_the_settings_in_their_table() -> None:
    kinds = {"texts": str, "whole numbers": int, "numbers": float}
    text = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    documented = {
        name: kinds[values.removeprefix("a list of ").partition(",")[0]]
        for names, values in table(text, "`[space]`")
        for name in codes(names)
    }
    assert documented == {s.name: s.kind for s in SETTINGS if s.sweep}


@pytest.mark.slow
def test_train_prints_the_fields_in_the_table(tmp_path: Path) -> None:
    flags = ("--epochs", "1", "--copies", "0", "--output", "one.bundle")
    ran = run_command("train", *flags, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    check_fields(table(reference("train"), "field"), json.loads(ran.stdout))


def test_evaluate_prints_the_fields_in_the_table(tmp_path: Path) -> None:
    """A wrong label makes every list hold something."""
    rows = pq.read_table(SAMPLE_DATA / "digits.parquet")
    at, labels = rows.schema.names.index("label"), rows["label"].to_pylist()
    wrong = pa.array([(labels[0] + 1) % 10, *labels[1:]], rows["label"].type)
    pq.write_table(rows.set_column(at, "label", wrong), tmp_path / "rows.parquet")
    flags = ("--by", "form_id", "--review-below", "0.9")
    ran = run_command("evaluate", "rows.parquet", *flags, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    fields = table(reference("evaluate"), "field")
    check_fields(fields, json.loads(ran.stdout), "bundle", "group", "causes")
