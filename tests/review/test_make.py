"""The way from predictions to a review: which cells, in what order, with what beside them."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import FORMAT_1_BUNDLE, SAMPLE_DATA
from reviews import made, predicted, truths

from batchdigits.predict import main as predict
from batchdigits.review.__main__ import main as review
from batchdigits.review.document import DOUBTFUL, PLANTED, SAMPLE, Review

PNG = b"\x89PNG\r\n\x1a\n rest of a picture"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("made")
    predicted(result)
    made(result, result / "forms.predictions.parquet", "--group", "form_id,field")
    return result


@pytest.fixture(scope="module")
def whole(folder: Path) -> Review:
    return Review.read(folder / "review")


def test_every_row_in_doubt_is_shown_once(folder: Path, whole: Review) -> None:
    table = pq.read_table(folder / "forms.predictions.parquet")
    decisions = table["decision"].to_pylist()
    in_doubt = [place for place, decision in enumerate(decisions) if decision == "review"]
    shown = sorted(cell.place for cell in whole.cells if cell.kind == DOUBTFUL)
    assert shown == in_doubt
    assert whole.files[0].accepted == 300 - len(in_doubt)
    for cell in whole.cells:
        assert whole.labels[cell.read] == str(table["prediction"][cell.place].as_py())
        assert cell.row == cell.place + 1


def test_a_sample_and_planted_cells_come_from_the_accepted_rows(whole: Review) -> None:
    kinds = Counter(cell.kind for cell in whole.cells)
    assert kinds[SAMPLE] == 100
    assert kinds[PLANTED] == round((kinds[DOUBTFUL] + 100) * 0.07 / 0.93)
    places = [cell.place for cell in whole.cells]
    assert len(set(places)) == len(places)
    truth = truths()
    for cell in whole.cells:
        if cell.kind == PLANTED:
            assert cell.confidence >= 0.99
            assert cell.shown != cell.read == int(truth[cell.place])
            assert cell.others[0] == cell.read


def test_screens_go_by_reading_and_the_most_doubtful_come_first(whole: Review) -> None:
    shown = [cell.shown for cell in whole.cells]
    assert shown == sorted(shown)
    for digit in set(shown):
        doubtful = [c.confidence for c in whole.cells if (c.shown, c.kind) == (digit, DOUBTFUL)]
        assert doubtful == sorted(doubtful)


def test_planted_cells_are_not_all_at_the_end(whole: Review) -> None:
    """Nobody may learn where they are: their places on the screens look like chance."""
    ranks = []
    for digit in range(10):
        group = [cell for cell in whole.cells if cell.shown == digit]
        ranks += [i / len(group) for i, cell in enumerate(group) if cell.kind in (PLANTED, SAMPLE)]
    assert 0.3 < float(np.mean(ranks)) < 0.7


def test_a_cell_knows_the_others_of_its_field(folder: Path, whole: Review) -> None:
    table = pq.read_table(folder / "forms.predictions.parquet")
    cell = whole.cells[0]
    assert cell.field is not None
    of, cells = whole.fields[cell.field[0]]
    names = (table["form_id"].to_pylist(), table["field"].to_pylist())
    assert of == {"form_id": names[0][cell.place], "field": names[1][cell.place]}
    same = [i for i, pair in enumerate(zip(*names, strict=True)) if pair == tuple(of.values())]
    assert len(cells) == len(same)
    assert (cells[cell.field[1]][0] == cell.pixels).all()
    assert [read for _, read in cells] == [table["prediction"][i].as_py() for i in same]


def test_the_same_predictions_and_options_give_the_same_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = [(folder / "review" / name).read_bytes() for name in ("review.json", "index.html")]
    made(folder, folder / "forms.predictions.parquet", "--group", "form_id,field")
    assert [(folder / "review" / n).read_bytes() for n in ("review.json", "index.html")] == before
    capsys.readouterr()
    again = ["make", str(folder / "forms.predictions.parquet"), "--output", str(folder / "review")]
    assert review([*again, "--seed", "1"]) == 73
    assert "holds something else than this review" in capsys.readouterr().err


def test_another_seed_chooses_other_cells(folder: Path, whole: Review, tmp_path: Path) -> None:
    other = made(tmp_path, folder / "forms.predictions.parquet", "--seed", "1")

    def places(review: Review, kind: str) -> set[int]:
        return {cell.place for cell in review.cells if cell.kind == kind}

    assert places(other, DOUBTFUL) == places(whole, DOUBTFUL)
    assert places(other, SAMPLE) != places(whole, SAMPLE)


def test_a_limit_takes_the_most_doubtful(folder: Path, whole: Review, tmp_path: Path) -> None:
    few = made(
        tmp_path, folder / "forms.predictions.parquet",
        *("--limit", "5", "--sample", "0", "--planted", "0"),
    )  # fmt: skip
    doubtful = sorted(cell.confidence for cell in whole.cells if cell.kind == DOUBTFUL)
    assert sorted(cell.confidence for cell in few.cells) == doubtful[:5]


def test_pages_are_for_the_user_alone(folder: Path) -> None:
    assert (folder / "review").stat().st_mode & 0o777 == 0o700
    for path in (folder / "review").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_csv_gives_the_same_cells(whole: Review, tmp_path: Path) -> None:
    other = made(tmp_path, predicted(tmp_path, suffix="csv"), "--sample", "0", "--planted", "0")
    expected = {c.place: (c.read, c.pixels.tolist()) for c in whole.cells if c.kind == DOUBTFUL}
    assert {c.place: (c.read, c.pixels.tolist()) for c in other.cells} == expected


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_kept_pixels_need_no_input(whole: Review, tmp_path: Path, suffix: str) -> None:
    """The number of the row is known if predict wrote it."""
    predictions = predicted(tmp_path, "--keep-pixels", suffix=suffix)
    (tmp_path / f"forms.{suffix}").unlink()
    cells = made(tmp_path, predictions, "--sample", "0", "--planted", "0").cells
    expected = {c.place: c.pixels.tolist() for c in whole.cells if c.kind == DOUBTFUL}
    assert {c.place: c.pixels.tolist() for c in cells} == expected
    assert {c.row for c in cells} == {None}
    (tmp_path / "numbered").mkdir()
    predictions = predicted(tmp_path / "numbered", "--keep-pixels", "--row-number", suffix=suffix)
    cells = made(tmp_path / "numbered", predictions).cells
    assert all(c.row == c.place + 1 for c in cells)


def test_rejected_rows_shift_no_pixels(tmp_path: Path) -> None:
    """Places among the predictions are not those among the rows of the input."""
    lines = (SAMPLE_DATA / "digits.csv").read_text(encoding="utf-8").splitlines()[:301]
    for bad in (30, 120, 121):
        lines[bad] = lines[bad].replace(",", ";")
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    flags = ["--review-below", "0.999", "--max-rejects", "3"]
    assert predict([str(tmp_path / "in.csv"), *flags]) == 0
    cells = made(tmp_path, tmp_path / "in.predictions.csv").cells
    truth = truths()
    assert {c.row - 1 - c.place for c in cells if c.row} == {0, 1, 3}
    wrong = [c.row for c in cells if str(c.read) != truth[(c.row or 0) - 1]]
    assert wrong == [78], "the packaged bundle misreads one of these rows"


def test_pictures_that_came_with_the_rows_are_shown(tmp_path: Path) -> None:
    predictions = predicted(tmp_path)
    source = tmp_path / "forms.parquet"
    table = pq.read_table(source)
    pictures = [PNG if i % 2 else b"<svg onload=alert(1)>" for i in range(table.num_rows)]
    pq.write_table(table.append_column("image", pa.array(pictures, pa.binary())), source)
    assert predict([str(source), "--review-below", "0.999", "--overwrite"]) == 0
    cells = made(tmp_path, predictions).cells
    assert all(cell.image == (PNG if cell.place % 2 else None) for cell in cells)


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> tuple[int, str]:
        output = tmp_path / "none"
        capsys.readouterr()
        code = review(["make", *map(str, arguments), "--output", str(output)])
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1, error
        assert not output.exists()
        return code, error

    return run


def test_bad_input_is_one_line_that_names_the_fix(folder: Path, tmp_path: Path, refused) -> None:
    good = folder / "forms.predictions.parquet"
    for arguments, code, message in [
        ([tmp_path / "absent.parquet"], 66, "no such file"),
        ([good, good], 2, "is named twice"),
        ([good, "--group", "form"], 65, "no column 'form'; its columns are form_id, field"),
        ([good, "--planted", "60%"], 2, "expected a share of the cells from 0 to 50%"),
        ([good, "--planted", "x"], 2, "neither a share"),
        ([good, "--sample", "-1"], 2, "--sample"),
        ([good, "--limit", "10000000"], 2, "a page holds 0 to 100,000 cells"),
        ([good, "--limit", "0", "--sample", "0"], 65, "there is nothing to look at"),
        ([good, "--bundle", tmp_path / "x.bundle"], 78, "no such file"),
        ([good, "--bundle", ""], 78, "'' is not the name of a bundle"),
        ([good, "--input", ""], 2, "--input: is empty: name a path"),
        ([""], 66, "an empty name"),
        ([folder / "forms.reviewed.parquet"], 2, "is a file of reviewed rows"),
        ([tmp_path], 66, "no predictions"),
    ]:
        ended, error = refused(*arguments)
        assert ended == code, error
        assert message in error


def test_a_folder_stands_for_the_predictions_in_it_and_not_for_temporaries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """A run that is still writing there, or was killed, leaves hidden ones."""
    predictions = predicted(tmp_path)
    (tmp_path / ".other.predictions.parquet.tmp").write_bytes(b"PAR1")
    shutil.copy(predictions, tmp_path / "._forms.predictions.parquet")  # of a Mac
    capsys.readouterr()
    assert review(["make", str(tmp_path), "--output", str(tmp_path / "review")]) == 0
    made_review = Review.read(tmp_path / "review")
    assert [file.path for file in made_review.files] == ["../forms.predictions.parquet"]


def test_a_review_without_a_cell_is_no_fault_if_it_may_be_empty(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """A script of every night can't know beforehand whether there is something to look at."""
    folder_of_review = tmp_path / "review"
    nothing = ["--limit", "0", "--sample", "0", "--allow-empty", "--output", str(folder_of_review)]
    assert review(["make", str(folder / "forms.predictions.parquet"), *nothing]) == 0
    assert json.loads(capsys.readouterr().out) == {"review": None, "page": None, "cells": 0}
    assert not folder_of_review.exists()


def test_predictions_that_were_changed_or_lost_their_receipt_are_refused(
    folder: Path, tmp_path: Path, refused
) -> None:  # fmt: skip
    alone = tmp_path / "forms.predictions.parquet"
    shutil.copy(folder / "forms.predictions.parquet", alone)
    assert refused(alone)[0] == 66
    assert "its receipt forms.receipt.json is missing" in refused(alone)[1]
    shutil.copy(folder / "forms.receipt.json", tmp_path)
    with alone.open("ab") as file:
        file.write(b"x")
    assert refused(alone)[0] == 65
    assert "was changed" in refused(alone)[1]


def test_a_changed_or_missing_input_needs_kept_pixels(tmp_path: Path, refused) -> None:
    predictions = predicted(tmp_path)
    (tmp_path / "forms.parquet").rename(tmp_path / "moved.parquet")
    code, error = refused(predictions)
    assert code == 66
    assert "forms.parquet is missing" in error
    assert "--keep-pixels" in error
    made(tmp_path, predictions, "--input", str(tmp_path / "moved.parquet"))
    shutil.rmtree(tmp_path / "review")
    table = pq.read_table(tmp_path / "moved.parquet")
    pq.write_table(table.slice(1), tmp_path / "forms.parquet")
    assert refused(predictions)[0] == 65


def test_predictions_without_decisions_say_what_is_missing(tmp_path: Path, refused) -> None:
    shutil.copy(SAMPLE_DATA / "digits.csv", tmp_path)
    assert predict([str(tmp_path / "digits.csv"), "--bundle", str(FORMAT_1_BUNDLE)]) == 0
    code, error = refused(tmp_path / "digits.predictions.csv")
    assert code == 65
    assert "has no column 'decision'" in error


def test_more_cells_than_a_page_holds_says_how_many(
    folder: Path, monkeypatch: pytest.MonkeyPatch, refused
) -> None:  # fmt: skip
    monkeypatch.setattr("batchdigits.review.choose.MOST_CELLS", 10)
    code, error = refused(folder / "forms.predictions.parquet", "--sample", "5")
    assert code == 65
    assert re.search(r"\d+ cells are in doubt in 1 file, a page holds 10; take the most", error)
