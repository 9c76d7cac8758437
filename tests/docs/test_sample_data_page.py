"""sample_data/README.md: the rows of each file, and the faults of bad.csv."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pages import code, codes, section, table
from paths import SAMPLE_DATA
from PIL import Image

from batchdigits.api import open_bundle
from batchdigits.files.names import DATA_SUFFIXES
from batchdigits.forms.__main__ import main as forms

PAGE = (SAMPLE_DATA / "README.md").read_text(encoding="utf-8")


def test_the_faults_of_the_bad_sample_get_what_its_page_says(scored_folder: Path) -> None:
    rows = table(section(PAGE, "What is wrong with bad.csv"), "line", "row")
    documented = [
        (int(line), int(row), code(reason), *(code(cell) if cell else None for cell in cells))
        for line, row, _, reason, *cells in rows
    ]
    written = pq.read_table(scored_folder / "out.rejects.parquet").to_pylist()
    names = ("line", "row", "reason", "column", "value")
    # An empty cell is nothing in the table and an empty text in the rejects.
    assert documented == [tuple(row[name] or None for name in names) for row in written]


def test_the_samples_have_the_rows_that_their_page_says(summary: dict[str, Any]) -> None:
    counts = table(section(PAGE, "Sample data"), "file")
    rows = {code(name): int(count.replace(",", "")) for name, count, *_ in counts}
    tracked = {path.name for path in SAMPLE_DATA.iterdir()} - _outputs()
    assert rows.keys() == {name for name in tracked if name.endswith(DATA_SUFFIXES)}
    assert rows["digits.parquet"] == pq.read_metadata(SAMPLE_DATA / "digits.parquet").num_rows
    assert rows["bad.csv"] == summary["rows_in"]
    assert rows["digits-uci.csv"] == len((SAMPLE_DATA / "digits-uci.csv").read_text().splitlines())
    assert rows["digits.csv"] == len((SAMPLE_DATA / "digits.csv").read_text().splitlines()) - 1


def test_every_file_of_the_form_is_on_the_page_and_all_are_small() -> None:
    named = {name for row in table(section(PAGE, "Pictures"), "file") for name in codes(row[0])}
    files = set((SAMPLE_DATA / "form").iterdir())
    assert named == {f"form/{path.name}" for path in files}
    assert sum(path.stat().st_size for path in files) < 400_000


def test_what_stands_in_the_sample_form_fits_its_template() -> None:
    template = json.loads((SAMPLE_DATA / "form" / "form.json").read_text())
    key = json.loads((SAMPLE_DATA / "form" / "key.json").read_text())
    fields = {field["name"]: field for field in template["fields"]}
    for name, pages in key.items():
        if not name.endswith(".pdf"):
            with Image.open(SAMPLE_DATA / "form" / name) as picture:
                assert getattr(picture, "n_frames", 1) == len(pages)
        for page in pages:
            assert page.keys() == fields.keys()
            for field, text in page.items():
                exact = fields[field].get("digits")
                assert len(text) == exact or len(text) <= fields[field].get("digits_at_most", 0)


def test_of_the_sample_crops_all_that_are_accepted_are_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "rows.parquet")
    crops = str(SAMPLE_DATA / "crops.zip")
    assert forms(["cells", crops, "--output", output, "--workers", "1"]) == 0
    rows = pq.read_table(output)
    assert f"{rows.num_rows} pictures of one digit each" in PAGE
    predictions = open_bundle().predict(rows)
    accepted = pc.equal(predictions["decision"], "accept")
    assert pc.sum(pc.invert(accepted)).as_py() == 2
    assert "sends two of them to review, and reads the others right" in PAGE
    read, truth = (column.filter(accepted) for column in (predictions["prediction"], rows["label"]))
    assert read.to_pylist() == truth.to_pylist()


def _outputs() -> set[str]:
    """What somebody who followed the README left there."""
    patterns = ("*.predictions.*", "*.rejects.*", "*.receipt.json")
    return {path.name for pattern in patterns for path in SAMPLE_DATA.glob(pattern)}
