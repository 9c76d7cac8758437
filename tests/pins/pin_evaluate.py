"""The figures of evaluate."""

from __future__ import annotations

from pathlib import Path

from pin_runs import Pins, own_folder, record_steps

CASES: dict[str, tuple[str, ...]] = {
    "whole-parquet": ("digits.parquet",),
    "whole-old-bundle": ("digits.parquet", "--bundle", "./old.bundle"),
    "whole-by-form": ("digits.parquet", "--bundle", "./old.bundle", "--by", "form_id"),
    "whole-by-two-columns": (
        *("digits.csv", "--bundle", "./old.bundle", "--by", "field,position", "--groups", "3"),
    ),
    "whole-review-below": ("digits.parquet", "--bundle", "./old.bundle", "--review-below", "0.9"),
    "threshold-of-the-bundle": ("few.csv", "--bundle", "./strict.bundle"),
    "two-inputs": ("few.csv", "few.parquet", "--groups", "0"),
    "no-header": ("few-uci.csv", "--no-header", "--label", "column_65"),
    "delimiter": ("semicolons.csv", "--delimiter", ";"),
    "scale": ("scaled.csv", "--scale", "240"),
    "pixels": ("foreign.csv", "--pixels", "ink{1..64}", "--by", "field"),
    "rejects-above": ("bad.csv",),
    "rejects-allowed": ("bad.csv", "--max-rejects", "16"),
    "rejects-share": ("reasons.csv", "--max-rejects", "90%", "--by", "label"),
    "odd-labels": ("odd-labels.csv",),
    "no-probability": ("ink.csv", "--bundle", "./nan.bundle"),
    "inverted": ("inverted.csv",),
    "no-rows-beside-some": ("few.csv", "header.csv"),
}


def record(pins: Pins, inputs: Path) -> None:
    rows = (inputs / "few.csv").read_text(encoding="utf-8").splitlines()
    with own_folder("evaluate", sorted(inputs.iterdir())):
        Path("odd-labels.csv").write_text("\n".join(_odd_labels(rows)) + "\n", encoding="utf-8")
        for name, argv in CASES.items():
            record_steps(pins, name, [("evaluate", *argv)])
        output = ("evaluate", "few.csv", "--output", "figures.json")
        record_steps(pins, "to-a-file", [output, output, (*output, "--overwrite")])


def _odd_labels(lines: list[str]) -> list[str]:
    """The label of each row written in another way, missing, or no class at all."""
    labels = ("0", "1.0", " 2", "", "04", "five", "11", "-7", "8", "NA", "true", "1")
    found = [lines[0]]
    for line, label in zip(lines[1:], labels, strict=True):
        cells = line.split(",")
        found.append(",".join([*cells[:3], label, *cells[4:]]))
    return found
