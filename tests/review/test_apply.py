"""From journals to reviewed predictions, labelled rows and a receipt that can be verified."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from reviews import AT, Pen, made, predicted, settle_all, truths

from batchdigits.predict import main as predict
from batchdigits.receipts import main as receipts
from batchdigits.review import apply
from batchdigits.review.__main__ import main as review
from batchdigits.review.document import DOUBTFUL, PLANTED, SAMPLE, Cell, Review
from batchdigits.scoring.published import Predictions, open_predictions

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions and a review of them, to copy."""
    folder = tmp_path_factory.mktemp("start")
    made(folder, predicted(folder))
    return folder


@pytest.fixture
def folder(start: Path, tmp_path: Path) -> Path:
    shutil.copytree(start, tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = review([*map(str, arguments)])
        output, error = capsys.readouterr()
        return code, output, error

    return call


def right(cell: Cell) -> str:
    return truths()[cell.place]


def journal_of(folder: Path, reviewer: str = "ana", truth: Callable[[Cell], str] = right) -> Path:
    made_review = Review.read(folder / "review")
    return settle_all(Pen(made_review, reviewer), truth).write(folder / "review")


def reviewed(folder: Path) -> pa.Table:
    return pq.read_table(folder / "forms.reviewed.parquet")


def test_reviewed_predictions_are_the_predictions_with_the_decisions(
    folder: Path, run: Run
) -> None:
    before = (folder / "forms.predictions.parquet").read_bytes()
    doubtful = [c.place for c in Review.read(folder / "review").cells if c.kind == DOUBTFUL]

    def said(cell: Cell) -> str:
        return "8" if cell.place in doubtful[:3] else right(cell)

    assert run("apply", journal_of(folder, truth=said))[0] == 0
    assert (folder / "forms.predictions.parquet").read_bytes() == before
    old, new = pq.read_table(folder / "forms.predictions.parquet"), reviewed(folder)
    assert new.column_names == [*old.column_names, "decided_by", "decided_who", "decided_at"]
    shown = {c.place for c in Review.read(folder / "review").cells if c.kind != PLANTED}
    for place, (was, now) in enumerate(zip(old.to_pylist(), new.to_pylist(), strict=True)):
        if place in shown:
            assert str(now["prediction"]) == ("8" if place in doubtful[:3] else truths()[place])
            same = now["prediction"] == was["prediction"]
            assert now["decided_by"] == ("agreed" if same else "reviewer")
            assert (now["decided_who"], now["decided_at"]) == ("ana", AT)
            assert (now["decision"], now["cause"]) == ("accept", None)
        else:
            assert now == {**was, "decided_by": "model", "decided_who": None, "decided_at": None}
    assert set(new["decided_by"].to_pylist()) == {"agreed", "reviewer", "model"}


def test_csv_is_reviewed_too(tmp_path: Path, run: Run) -> None:
    made(tmp_path, predicted(tmp_path, suffix="csv"))
    pen = Pen(Review.read(tmp_path / "review"))
    ours = [n for n, cell in enumerate(pen.review.cells) if cell.kind != PLANTED][:2]
    pen.set(ours[0], "not-a-digit").set(ours[1], "cant-tell").confirm(ours)
    assert run("apply", pen.write(tmp_path / "review"))[0] == 0
    text = (tmp_path / "forms.reviewed.csv").read_text(encoding="utf-8").splitlines()
    old = (tmp_path / "forms.predictions.csv").read_text(encoding="utf-8").splitlines()
    assert text[0] == old[0] + ",decided_by,decided_who,decided_at"
    assert len(text) == len(old)
    first, second = (pen.review.cells[number].place for number in ours)
    assert f",,{old[first + 1].split(',')[-3]},review,not-a-digit,reviewer,ana," in text[first + 1]
    assert ",review,cant-tell,reviewer,ana," in text[second + 1]
    assert pc.read_csv(tmp_path / "forms.reviewed.csv").num_rows == 300


def test_what_is_no_digit_has_no_prediction_and_stays_in_review(folder: Path, run: Run) -> None:
    pen = Pen(Review.read(folder / "review"))
    cells = pen.review.cells
    ours = [n for n, cell in enumerate(cells) if cell.kind != PLANTED][:2]
    pen.set(ours[0], "not-a-digit").set(ours[1], "cant-tell").confirm(ours)
    assert run("apply", pen.write(folder / "review"))[0] == 0
    rows = reviewed(folder).to_pylist()
    none, unclear = (rows[cells[number].place] for number in ours)
    assert (none["prediction"], none["decision"], none["cause"]) == (None, "review", "not-a-digit")
    assert (unclear["decision"], unclear["cause"]) == ("review", "cant-tell")
    assert unclear["prediction"] == cells[ours[1]].read


def test_the_receipt_names_everything_and_verifies(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = journal_of(folder)
    _, output, _ = run("apply", journal)
    assert "reviewed" in output
    assert "with 99 % confidence at most" in output
    receipt = folder / "forms.reviewed.receipt.json"
    facts = json.loads(receipt.read_text(encoding="utf-8"))
    assert facts["kind"] == "reviewed"
    assert facts["predictions"]["path"] == "forms.predictions.parquet"
    assert facts["journals"][0]["path"] == "review/ana.journal.jsonl"
    assert facts["journals"][0]["reviewer"] == "ana"
    assert facts["bundle"]["digest"].startswith("sha256:")
    assert sum(facts["decided_by"].values()) == facts["rows"] == 300
    kinds = [cell.kind for cell in Review.read(folder / "review").cells]
    certificate = facts["certificate"]
    assert certificate["planted"] == certificate["caught"] == kinds.count(PLANTED)
    assert certificate["settled"] == kinds.count(DOUBTFUL)
    assert certificate["sampled"] == kinds.count(SAMPLE)
    assert receipts(["verify", str(receipt), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificate"] == certificate
    assert receipts(["verify", str(receipt)]) == 0
    assert capsys.readouterr().out.startswith(f"ok {receipt}: 300 rows reviewed; ")
    assert receipts(["verify", str(folder)]) == 0
    both = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in both] == [
        f"ok {folder}/forms.receipt.json", f"ok {receipt}"
    ]  # fmt: skip


def test_it_says_that_a_reviewer_who_caught_nothing_bounds_nothing(folder: Path, run: Run) -> None:
    pen = Pen(Review.read(folder / "review"))
    pen.confirm(list(range(len(pen.review.cells))))
    _, output, _ = run("apply", pen.write(folder / "review"))
    predictions = pq.read_table(folder / "forms.predictions.parquet")
    accepted = predictions["decision"].to_pylist().count("accept")
    assert "; 0 of " in output
    assert f"nothing bounds the errors among the {accepted} accepted rows" in output


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("forms.reviewed.parquet", "its output"),
        ("forms.predictions.parquet", "they were replaced after the review"),
        ("review/ana.journal.jsonl", "if the review went on"),
        ("review/review.json", "its review"),
    ],
)
def test_verify_finds_whatever_was_changed(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    run("apply", journal_of(folder))
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    receipt = str(folder / "forms.reviewed.receipt.json")
    assert receipts(["verify", receipt]) == 65
    output, error = capsys.readouterr()
    assert output.startswith("not ok")
    assert what in error
    (folder / name).unlink()
    assert receipts(["verify", receipt]) == 66


def test_a_certificate_that_was_polished_does_not_verify(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("apply", journal_of(folder))
    receipt = folder / "forms.reviewed.receipt.json"
    facts = json.loads(receipt.read_text(encoding="utf-8"))
    facts["certificate"]["errors_left_at_most"] = 0
    receipt.write_text(json.dumps(facts), encoding="utf-8")
    assert receipts(["verify", str(receipt)]) == 65
    assert "give another errors_left_at_most" in capsys.readouterr().err


def test_the_same_journals_again_change_nothing(folder: Path, run: Run) -> None:
    journal = journal_of(folder)
    run("apply", journal)
    before = (folder / "forms.reviewed.parquet").stat().st_mtime_ns
    assert run("apply", folder / "review")[1].startswith("unchanged ")
    assert (folder / "forms.reviewed.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["certificate", "cells", "decided_by"])
def test_a_receipt_without_its_figures_is_of_no_reviewed_file(
    name: str, folder: Path, run: Run
) -> None:
    journal = journal_of(folder)
    run("apply", journal)
    receipt = folder / "forms.reviewed.receipt.json"
    facts = json.loads(receipt.read_text())
    facts[name][next(iter(facts[name]))] = None
    receipt.write_text(json.dumps(facts))
    code, _, error = run("apply", journal)
    assert (code, "no receipt says what it came from" in error) == (73, True)


def test_a_review_that_went_on_is_applied_again(folder: Path, run: Run) -> None:
    pen = Pen(Review.read(folder / "review")).confirm([0])
    run("apply", pen.write(folder / "review"))
    _, output, error = run("apply", settle_all(pen, right).write(folder / "review"))
    assert output.startswith("reviewed ")
    assert error == ""


def test_a_reviewed_file_that_was_edited_is_not_thrown_away(folder: Path, run: Run) -> None:
    journal = journal_of(folder)
    run("apply", journal)
    table = reviewed(folder)
    pq.write_table(table.slice(1), folder / "forms.reviewed.parquet")
    code, _, error = run("apply", journal)
    assert code == 73
    assert "was changed since it was written; move it away, or replace it with --over" in error
    assert reviewed(folder).num_rows == 299
    assert run("apply", journal, "--overwrite")[0] == 0
    assert reviewed(folder).num_rows == 300


def test_the_decisions_of_an_absent_reviewer_are_not_thrown_away(folder: Path, run: Run) -> None:
    ana, ben = journal_of(folder, "ana"), journal_of(folder, "ben")
    run("apply", ana, ben)
    code, _, error = run("apply", ana)
    assert code == 73
    assert "holds decisions of ben, whose journal is not given" in error


def test_two_reviewers_are_merged_and_a_disagreement_stays_open(folder: Path, run: Run) -> None:
    one = next(n for n, c in enumerate(Review.read(folder / "review").cells) if c.kind == DOUBTFUL)
    place = Review.read(folder / "review").cells[one].place
    ana = journal_of(folder, "ana")
    ben = journal_of(folder, "ben", lambda c: "cant-tell" if c.place == place else right(c))
    code, _, error = run("apply", ana, ben)
    assert code == 0
    assert "reviewers disagree on 1 cell" in error
    row = reviewed(folder).to_pylist()[place]
    assert (row["decided_by"], row["decision"], row["cause"]) == ("model", "review", "disputed")
    assert set(reviewed(folder)["decided_who"].to_pylist()) == {None, "ana,ben"}


def test_predictions_that_were_replaced_refuse_the_journal(folder: Path, run: Run) -> None:
    journal = journal_of(folder)
    source = str(folder / "forms.parquet")
    assert predict([source, "--review-below", "0.5", "--overwrite"]) == 0
    code, _, error = run("apply", journal)
    assert code == 65
    assert "was changed since the review was made of it" in error
    assert not (folder / "forms.reviewed.parquet").exists()
    (folder / "forms.predictions.parquet").unlink()
    assert run("apply", journal)[0] == 66


def test_predictions_that_change_while_they_are_read_are_tried_again(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = journal_of(folder)

    def open_and_change(path: Path) -> Predictions:
        file = open_predictions(path)
        pq.write_table(pq.read_table(path).slice(1), path)
        return file

    monkeypatch.setattr(apply, "open_predictions", open_and_change)
    code, _, error = run("apply", journal)
    assert (code, "was changed while it was read" in error) == (75, True)
    assert not (folder / "forms.reviewed.parquet").exists()


def test_nights_leave_the_reviewed_file_alone(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rerun says unchanged; where predictions were replaced under a review, it says so."""
    source = str(folder / "forms.parquet")
    run("apply", journal_of(folder))
    before = (folder / "forms.reviewed.parquet").read_bytes()
    assert predict([source, "--review-below", "0.999"]) == 0
    output, error = capsys.readouterr()
    assert json.loads(output)["inputs"][0]["status"] == "unchanged"
    assert "reviewed" not in error
    for flags in (["--review-below", "0.5", "--overwrite"], ["--review-below", "0.5"]):
        assert predict([source, *flags]) == 0
        assert "forms.reviewed.parquet was reviewed on predictions" in capsys.readouterr().err
    assert (folder / "forms.reviewed.parquet").read_bytes() == before
    assert predict([str(folder), "--output", str(folder / "other")]) == 0
    assert len(json.loads(capsys.readouterr().out)["inputs"]) == 1


def test_a_folder_without_journals_or_a_journal_far_from_its_review_says_so(
    folder: Path, run: Run
) -> None:
    code, _, error = run("apply", folder / "review")
    assert (code, "no journal in this folder" in error) == (66, True)
    code, _, error = run("apply", folder / "nothere")
    assert (code, f"{folder / 'nothere'}: no such file or folder" in error) == (66, True)
    (folder / "review" / "._ana.journal.jsonl").touch()
    assert run("apply", folder / "review")[:2] == (code, "")
    journal = journal_of(folder)
    away = folder / "downloads"
    away.mkdir()
    shutil.move(journal, away / "ana.journal.jsonl")
    code, _, error = run("apply", away / "ana.journal.jsonl")
    assert (code, "keep journals in it" in error) == (66, True)
    assert run("apply", away / "ana.journal.jsonl", "--review", folder / "review")[0] == 0


def test_nothing_is_written_if_one_of_several_files_can_t_be(tmp_path: Path, run: Run) -> None:
    names = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        names.append(predicted(tmp_path / name, rows=60 if name == "one" else 90))
    output = tmp_path / "review"
    code, *_ = run("make", *names, "--output", output, "--sample", "20")
    assert code == 0
    pen = Pen(Review.read(output))
    journal = settle_all(pen, lambda c: pen.review.labels[c.shown]).write(output)
    names[1].unlink()
    assert run("apply", journal)[0] == 66
    assert not (tmp_path / "one" / "forms.reviewed.parquet").exists()


def test_what_reviewers_said_becomes_labelled_rows(folder: Path, run: Run) -> None:
    pen = Pen(Review.read(folder / "review"))
    cells = pen.review.cells
    first = next(n for n, c in enumerate(cells) if c.kind == DOUBTFUL)
    pen.set(first, "not-a-digit")
    journal = settle_all(
        pen, lambda c: "not-a-digit" if c.place == cells[first].place else right(c)
    ).write(folder / "review")
    output = folder / "corrected.parquet"
    assert run("rows", journal, "--output", output)[0] == 0
    assert output.stat().st_mode & 0o777 == 0o600
    rows = pq.read_table(output)
    wanted = sorted(c.place for n, c in enumerate(cells) if c.kind != PLANTED and n != first)
    assert [row - 1 for row in rows["row"].to_pylist()] == wanted
    assert [str(label) for label in rows["label"].to_pylist()] == [truths()[p] for p in wanted]
    original = pq.read_table(folder / "forms.parquet")
    pixels = np.array(rows["pixels"].to_pylist())
    expected = (
        np.array(original["pixels"].to_pylist())[wanted]
        if ("pixels" in original.column_names)
        else np.stack([original[f"pixel_{i}"].to_numpy()[wanted] for i in range(64)], axis=1)
    )
    assert (pixels == expected).all()
    chances = dict(zip(rows["chosen"].to_pylist(), rows["chance"].to_pylist(), strict=True))
    accepted = Review.read(folder / "review").files[0].accepted
    assert chances == {DOUBTFUL: 1.0, SAMPLE: pytest.approx(100 / accepted)}
    code, _, error = run("rows", journal, "--output", output)
    assert (code, "exists" in error) == (73, True)
    assert run("rows", journal, "--output", folder / "rows.txt.gz")[0] == 2
    assert run("rows", journal, "--output", folder / "corrected.csv")[0] == 0
    table = pc.read_csv(folder / "corrected.csv")
    assert table.column_names[:2] == ["pixel_0", "pixel_1"]
    assert (table["pixel_20"].to_numpy() == pixels[:, 20]).all()


def test_names_of_any_bytes_are_kept(tmp_path: Path, run: Run) -> None:
    """Bytes that are not UTF-8 become escapes: of a reviewer, and of the predictions."""
    predictions = predicted(tmp_path)
    odd = os.fsdecode(b"M\xfcller.predictions.parquet")
    receipt = tmp_path / os.fsdecode(b"M\xfcller.receipt.json")
    predictions.rename(tmp_path / odd)
    text = (tmp_path / "forms.receipt.json").read_text()
    receipt.write_text(text.replace("forms.predictions", "M\\udcfcller.predictions"))
    journal = settle_all(Pen(made(tmp_path, tmp_path / odd), os.fsdecode(b"Zo\xeb")), right).write(
        tmp_path / "review"
    )
    assert run("apply", journal)[0] == 0
    with (tmp_path / os.fsdecode(b"M\xfcller.reviewed.parquet")).open("rb") as file:
        table = pq.read_table(file)
    assert set(table["decided_who"].to_pylist()) == {None, "Zo\\xeb"}
    assert run("rows", journal, "--output", tmp_path / "corrected.csv")[0] == 0
    rows = pc.read_csv(tmp_path / "corrected.csv")
    assert set(rows["source"].to_pylist()) == {"M\\xfcller.predictions.parquet"}
    assert set(rows["decided_who"].to_pylist()) == {"Zo\\xeb"}


def test_doubt_about_a_planted_cell_reaches_the_row(folder: Path, run: Run) -> None:
    logging.getLogger("batchdigits").propagate = True
    made_review = Review.read(folder / "review")
    number, cell = next((n, c) for n, c in enumerate(made_review.cells) if c.kind == PLANTED)
    third = next(str(i) for i in range(10) if i not in (cell.shown, cell.read))
    journal = Pen(made_review).set(number, third).confirm([number]).write(folder / "review")
    _, _, error = run("apply", journal)
    assert "although it was sure" in error
    row = reviewed(folder).to_pylist()[cell.place]
    assert (row["prediction"], row["cause"]) == (cell.read, "disputed")


def test_labels_that_the_predictions_can_t_have_are_refused(folder: Path, run: Run) -> None:
    document = folder / "review" / "review.json"
    facts = json.loads(document.read_bytes())
    facts["labels"] = [f"x{label}" for label in facts["labels"]]
    document.write_text(json.dumps(facts), encoding="utf-8")
    Pen(Review.read(folder / "review"), "ana").write(folder / "review")
    code, _, error = run("apply", folder / "review")
    assert (code, error.count("\n"), "its labels are not those" in error) == (65, 1, True)
    assert not (folder / "forms.reviewed.parquet").exists()


def test_labelled_rows_do_not_replace_the_predictions(folder: Path, run: Run) -> None:
    journal_of(folder)
    path = folder / "forms.predictions.parquet"
    before = path.read_bytes()
    code, _, error = run("rows", folder / "review", "--output", path, "--overwrite")
    assert (code, "name another --output" in error) == (2, True)
    assert path.read_bytes() == before
