"""`bundles diff`: two bundles on the same rows, as a table and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bundle_store import Run, own_path, right_of
from small_bundles import make_bundle, make_pixels

from batchdigits.archive.classes import Classes
from batchdigits.store.store import Store


def test_diff_prints_a_table(store: Store, run: Run, rows: Path) -> None:
    code, out, err = run("diff", "digits@1", "digits@2", "--data", str(rows), "--flips", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("old   digits@1  sha256:")
    assert lines[1].startswith("new   digits@2  sha256:")
    assert lines[2] == f"data  {rows}: 300 rows, 0 rejected, 300 with a label in 'label'"
    figures = {line[:20].strip(): line.split()[-4:] for line in lines if "%" in line}
    assert figures["accuracy"][:2] == [f"{right_of(store, 1, rows):.2%}", "100.00%"]
    (count,) = (line for line in lines if "rows flip" in line)
    assert "of 300 rows flip: " in count
    assert "0 become wrong" in count
    header = next(i for i, line in enumerate(lines) if line.startswith("ROW"))
    assert lines[header].split() == ["ROW", "form", "LABEL", "OLD", "NEW", "CONFIDENCE"]
    assert lines[-1].endswith("more: --flips lists them")
    assert len(lines) == header + 4


def test_diff_speaks_json(store: Store, run: Run, rows: Path) -> None:
    """One object; the matrix holds every row."""
    code, out, _ = run("diff", "digits@1", "digits@2", "--data", str(rows), "--json")
    facts = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert facts["old"]["accuracy"] == pytest.approx(right_of(store, 1, rows))
    assert (facts["new"]["accuracy"], facts["rows_in"], facts["label"]) == (1.0, 300, "label")
    assert facts["old"]["bundle"]["version"] == "1"
    matrix = np.array(facts["flip_matrix"])
    assert (matrix.sum(), matrix.sum() - np.trace(matrix)) == (300, facts["flip_count"])
    assert len(facts["flips"]) == 20
    flip = facts["flips"][0]
    assert flip["columns"] == {"form": f"{flip['row'] - 1:05}"}
    assert flip["label"] == flip["new"] != flip["old"]


def test_diff_of_a_bundle_with_itself_has_no_flips(store: Store, run: Run, rows: Path) -> None:
    code, out, _ = run("diff", "digits@2", "digits@2", "--data", str(rows))
    assert (code, out.splitlines()[-1]) == (0, "0 of 300 rows flip")


def test_diff_without_labels_and_with_other_classes(store: Store, run: Run, rows: Path) -> None:
    """The flips alone; what the bundles do not share is said."""
    letters = Classes("string", ("1", "2", "x"))
    store.publish("digits", lambda version: make_bundle(letters, version=version))
    pq.write_table(pq.read_table(rows).drop_columns(["label"]), "bare.parquet")
    code, out, _ = run("diff", "digits@1", "digits@4", "--data", "bare.parquet")
    assert code == 0
    assert "no labels" in out
    assert "accuracy" not in out
    assert "classes of the old bundle only: 0" in out
    assert "classes of the new bundle only: 'x'" in out
    assert "predictions change their type from int64 to string" in out


def test_diff_reads_csv_as_predict_does(store: Store, run: Run, tmp_path: Path) -> None:
    pixels = make_pixels(20)
    lines = [";".join([*map(str, row * 2), str(i % 3)]) for i, row in enumerate(pixels)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    flags = ("--no-header", "--delimiter", ";", "--scale", "32", "--label", "column_65")
    code, out, err = run("diff", "digits@1", "digits@2", "--data", "rows.csv", "--json", *flags)
    assert (code, err) == (0, "")
    assert json.loads(out)["old"]["rows_labelled"] == 20


def test_diff_imports_nothing_heavy(store: Store, rows: Path) -> None:
    """As predict, and pandas is not looked for either."""
    script = f"""
import sys
from batchdigits.bundles.__main__ import main
assert main(["diff", "digits@1", "digits@2", "--data", {str(rows)!r}, "--json"]) == 0
print(sorted({{"pandas", "sklearn", "keras", "tensorflow", "joblib"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=own_path()
    )
    assert done.stdout.splitlines()[-1] == "[]"
