"""Pages of evaluate, train and `bundles diff`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import DIGITS_2_BUNDLE, SAMPLE_DATA

from batchdigits.evaluate import main as evaluate


@pytest.fixture(scope="module")
def mislabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with every 50th label one off."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    labels = [
        (label + 1) % 10 if row % 50 == 0 else label
        for row, label in enumerate(table["label"].to_pylist())
    ]
    at = table.schema.get_field_index("label")
    path = tmp_path_factory.mktemp("labelled") / "labelled.parquet"
    pq.write_table(table.set_column(at, "label", pa.array(labels)), path)
    return path


def test_the_page_of_an_evaluation_shows_what_is_wrong(
    mislabelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    reads_all_right = ["--bundle", str(DIGITS_2_BUNDLE)]
    made = evaluate([str(mislabelled), *reads_all_right, "--by", "field", "--report", str(page)])
    assert made == 0
    text = page.read_text(encoding="utf-8")
    assert "1,761 of 1,797 labelled rows are right: 98.00%." in text
    assert text.count(", read as ") == 3 * 36  # label and title of the picture, and the text below
    for title in ("Confusions", "Reliability", "Accepted by a threshold", "Groups"):
        assert f"<h2>{title}" in text
    assert "<script" not in text
    assert len(text.encode()) < 250_000


def test_an_unusable_page_is_refused_before_anything_is_scored(
    mislabelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate([str(mislabelled), "--report", str(tmp_path / "absent" / "page.html")]) == 73
    assert evaluate([str(mislabelled), "--report", str(tmp_path / "page.txt")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 2
