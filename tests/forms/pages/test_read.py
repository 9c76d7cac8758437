"""The command `forms read`: documents to rows, rejects and a receipt."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from drawn_form import (
    ANSWERS,
    FIELDS,
    as_jpeg,
    as_pdf,
    draw_form,
    save,
    shaded,
    turned,
    warped,
    write_template,
)
from paths import shared_data
from PIL import Image

from batchdigits.forms.__main__ import main
from batchdigits.forms.cell import normalise
from batchdigits.forms.columns import PAGES
from batchdigits.forms.pages import read as module
from batchdigits.forms.pages.documents import count_pages
from batchdigits.predict import main as predict

FILLED = draw_form(ANSWERS)
DIGITS = sum(map(len, ANSWERS.values()))


class Run:
    """Runs `forms` with one worker; keeps the summary and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.summary: dict[str, Any] = {}
        self.err = ""

    def __call__(self, *arguments: str, workers: int = 1) -> int:
        flags = ["--output", "rows.parquet", "--workers", str(workers)]
        code = main(["read", *arguments, *flags])
        captured = self._capsys.readouterr()
        self.summary = json.loads(captured.out) if captured.out else {}
        self.err = captured.err
        return code


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, beside `form.json` and its blank form."""
    monkeypatch.chdir(tmp_path)
    write_template(tmp_path)
    return Run(capsys)


def rows() -> list[dict[str, Any]]:
    return pq.read_table("rows.parquet").to_pylist()


def rejects() -> list[tuple[Any, ...]]:
    found = pq.read_table("rows.forms.rejects.parquet").to_pylist()
    return [(row["file"], row["page"], row["field"], row["reason"]) for row in found]


def test_a_page_becomes_a_row_for_each_character(run: Run) -> None:
    save(Path("a.png"), FILLED)
    assert run("a.png", "--template", "form.json") == 0
    assert pq.read_schema("rows.parquet").equals(PAGES)
    found = rows()
    assert Counter(row["field"] for row in found) == {n: len(a) for n, a in ANSWERS.items()}
    assert [row["position"] for row in found if row["field"] == "number"] == [1, 2, 3, 4, 5]
    assert {(row["file"], row["page"]) for row in found} == {("a.png", 1)}
    assert all(row["registration"] > 0.95 for row in found)
    assert all(0 < max(row["pixels"]) <= 16 for row in found)


def test_the_picture_of_a_row_gives_its_pixels_again(run: Run) -> None:
    save(Path("a.png"), FILLED > 127)
    run("a.png", "--template", "form.json")
    import io

    for row in rows():
        picture = np.asarray(Image.open(io.BytesIO(row["image"])).convert("L"))
        assert (picture < 128).sum() == row["ink"]
        assert normalise(picture < 128).tolist() == row["pixels"]


def test_predict_reads_the_rows_and_passes_the_columns_through(run: Run) -> None:
    save(Path("a.png"), FILLED)
    run("a.png", "--template", "form.json")
    assert predict(["rows.parquet", "--output", "out.parquet"]) == 0
    scored = pq.read_table("out.parquet")
    assert scored.num_rows == DIGITS
    assert {"file", "page", "field", "position", "box", "prediction"} <= set(scored.column_names)
    answers: dict[str, str] = {}
    for field, digit in zip(
        *(scored[name].to_pylist() for name in ("field", "prediction")), strict=True
    ):
        answers[field] = answers.get(field, "") + str(digit)
    right = sum(
        a == b for name in ANSWERS for a, b in zip(answers[name], ANSWERS[name], strict=True)
    )
    assert right >= DIGITS - 2


def test_blank_fields_and_cells_are_counted_and_become_rows_only_on_demand(run: Run) -> None:
    save(Path("a.png"), draw_form({"day": "27", "number": "5 0 7"}))
    assert run("a.png", "--template", "form.json") == 0
    counted = {
        key: run.summary[key] for key in ("fields_cut", "fields_blank", "cells_blank", "rows")
    }
    assert counted == {"fields_cut": 2, "fields_blank": 3, "cells_blank": 2, "rows": 5}
    assert run("a.png", "--template", "form.json", "--blank-cells", "--overwrite") == 0
    found = rows()
    assert len(found) == 5 + 2 + 3
    blank = [row for row in found if row["ink"] == 0]
    assert len(blank) == 5
    assert not any(any(row["pixels"]) for row in blank)


def test_documents_of_all_kinds_are_read_in_the_order_of_their_names(run: Run) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    Path("in").mkdir()
    as_pdf([FILLED, FILLED], Path("in/b.pdf"))
    Path("in/a.jpg").write_bytes(as_jpeg(shaded(warped(FILLED, turned(1))), 60))
    Image.fromarray(FILLED > 127).save("in/c.tif", compression="group4")
    with zipfile.ZipFile("in/d.zip", "w") as archive:
        archive.write("in/c.tif", "deep/c.tif")
    assert run("in", "--template", "form.json") == 0
    pages = dict.fromkeys((row["file"], row["page"]) for row in rows())
    assert list(pages) == [
        ("in/a.jpg", 1),
        ("in/b.pdf", 1),
        ("in/b.pdf", 2),
        ("in/c.tif", 1),
        ("in/d.zip/deep/c.tif", 1),
    ]
    assert run.summary["pages_read"] == 5
    assert len(rows()) == 5 * DIGITS


def test_refused_pages_and_fields_are_rejects_and_the_others_go_on(run: Run) -> None:
    save(Path("a.png"), draw_form({**ANSWERS, "day": "2719"}))
    save(Path("b.png"), np.rot90(FILLED, 2))
    Path("c.png").write_bytes(b"no picture")
    save(Path("d.png"), FILLED)
    assert run("a.png", "b.png", "c.png", "d.png", "--template", "form.json") == 3
    assert rejects() == [
        ("a.png", 1, "day", "more-marks"),
        ("b.png", 1, None, "upside-down"),
        ("c.png", None, None, "not-a-picture"),
    ]
    assert "2 of 4 pages were refused" in run.err
    assert "1 of 10 fields were refused (1 more-marks)" in run.err
    receipt = json.loads(Path("rows.forms.receipt.json").read_text())
    assert receipt["pages_in"] == receipt["pages_read"] + receipt["pages_refused"] == 4
    assert receipt["fields_in"] == 2 * len(FIELDS)
    assert receipt["page_reasons"] == {"not-a-picture": 1, "upside-down": 1}
    assert (
        run("a.png", "b.png", "c.png", "d.png", "--template", "form.json", "--max-rejects", "2")
        == 0
    )
    assert run.summary["status"] == "unchanged"


def test_a_template_whose_fields_nobody_could_write_in_is_refused(run: Run) -> None:
    """All fields would be blank: ink is taken for dust."""
    save(Path("a.png"), FILLED)
    template = json.loads(Path("form.json").read_text())
    template["page"]["dpi"] = 2400
    Path("wrong.json").write_text(json.dumps(template))
    assert run("a.png", "--template", "wrong.json") == 65
    assert "wrong.json: with dpi 2400 its highest field is 0." in run.err
    assert not Path("rows.parquet").exists()


def test_without_a_page_that_can_be_read_nothing_is_published(run: Run) -> None:
    save(Path("a.png"), np.full_like(FILLED, 255))
    assert run("a.png", "--template", "form.json") == 65
    assert "none of the 1 pages can be read, 1 are blank-page" in run.err
    assert "the first is a.png, page 1: there is no ink on it; leave it out\n" in run.err
    assert not Path("rows.parquet").exists()


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_as_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups too: here each task makes one."""
    monkeypatch.setattr("batchdigits.forms.publish.GROUP_BYTES", 1)
    images = [
        Image.fromarray(draw_form({**ANSWERS, "day": str(day)}) > 127) for day in range(11, 19)
    ]
    images[0].save("a.tif", save_all=True, append_images=images[1:], compression="group4")
    assert run("a.tif", "--template", "form.json") == 0
    one = Path("rows.parquet").read_bytes()
    assert run("a.tif", "--template", "form.json", "--overwrite", workers=2) == 0
    assert run.summary["status"] == "unchanged"
    Path("rows.parquet").unlink()
    assert run("a.tif", "--template", "form.json", "--overwrite", workers=2) == 0
    assert run.summary["pages_read"] == 8
    assert Path("rows.parquet").read_bytes() == one


def test_another_template_is_other_work(run: Run) -> None:
    save(Path("a.png"), FILLED)
    assert run("a.png", "--template", "form.json") == 0
    facts = json.loads(Path("form.json").read_text())
    facts["fields"][0]["name"] = "date"
    Path("form.json").write_text(json.dumps(facts))
    assert run("a.png", "--template", "form.json") == 73
    assert run("a.png", "--template", "form.json", "--overwrite") == 0
    assert rows()[0]["field"] == "date"


def test_of_several_templates_the_folder_or_the_page_decides(run: Run) -> None:
    write_template(Path.cwd(), name="other")
    facts = json.loads(Path("other.json").read_text())
    del facts["fields"][1:]
    Path("other.json").write_text(json.dumps(facts))
    Path("other").mkdir()
    save(Path("other/a.png"), FILLED)
    save(Path("b.png"), FILLED)
    arguments = ("other", "b.png", "--template", "form.json", "--template", "other.json")
    assert run(*arguments) == 0
    found = rows()
    assert {row["template"] for row in found if row["file"] == "other/a.png"} == {"other"}
    assert {row["field"] for row in found if row["file"] == "other/a.png"} == {"day"}


def test_names_of_any_bytes_are_kept(run: Run) -> None:
    """Bytes that are not UTF-8 become escapes: of pages, of templates, and in details."""
    odd = os.fsdecode(b"M\xfcller")
    shutil.copy("form.json", f"{odd}.json")
    Path(odd).mkdir()
    save(Path(odd, f"{odd}.png"), FILLED)
    save(Path(odd, "z.png"), FILLED[:, ::-1].copy())
    Path(odd, f"bad {odd}.png").write_text("no picture")
    flags = ("--max-rejects", "2", "--template", f"{odd}.json", "--template", "form.json")
    assert run(odd, *flags) == 0
    assert {(row["file"], row["template"]) for row in rows()} == {
        ("M\\xfcller/M\\xfcller.png", "M\\xfcller")
    }
    bad, other = pq.read_table("rows.forms.rejects.parquet").to_pylist()
    assert (bad["file"], bad["reason"]) == ("M\\xfcller/bad M\\xfcller.png", "not-a-picture")
    assert other["reason"] == "other-form"
    assert "of the lines of M\\xfcller.json are found" in other["detail"]
    assert run(odd, *flags) == 0
    assert run.summary["status"] == "unchanged"


def replaced(path: Path) -> None:
    save(Path("new.png"), draw_form({"day": "27"}))
    Path("new.png").replace(path)


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


CHANGES = {"replaced": replaced, "changed": damaged, "removed": Path.unlink}


@pytest.mark.parametrize("name", ["a.png", "form.blank.png"])
@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("when", ["before its pages are counted", "before they are read"])
def test_what_changes_after_its_digest_was_taken_is_tried_again(
    when: str, how: str, name: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(Path("a.png"), FILLED)

    def count(document: Any) -> int:
        if "counted" in when:
            CHANGES[how](Path(name))
        pages = count_pages(document)
        if "read" in when:
            CHANGES[how](Path(name))
        return pages

    monkeypatch.setattr(module, "count_pages", count)
    code = run("a.png", "--template", "form.json", "--max-rejects", "1")
    how = how if name == "a.png" else "changed"
    assert (code, run.err.count(f"{name}: was {how} while it was read; run again")) == (75, 1)
    assert not list(Path.cwd().glob("rows*"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("none.png", "--template", "form.json"), 66, "none.png: no such file"),
        (("a.png", "--template", "none.json"), 66, "none.json"),
        (("a.png",), 2, "--template"),
        (("a.png", "--template", "form.json", "--max-rejects", "x"), 2, "--max-rejects"),
        (("a.png", "--template", "form.json", "--template", "form.json"), 2, "two templates"),
    ],
)
def test_wrong_arguments_are_one_line(
    run: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    save(Path("a.png"), FILLED)
    assert run(*arguments) == code
    assert words in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize("name", ["rows.parquet", "rows.forms.rejects.parquet"])
@pytest.mark.parametrize("argument", ["{}", "*"])
def test_a_document_with_the_name_of_an_output_is_not_overwritten(
    name: str, argument: str, run: Run
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(FILLED).save(buffer, "PNG")
    Path(name).write_bytes(buffer.getvalue())
    flags = ("--template", "form.json", "--overwrite")
    assert run(argument.format(name), *flags) == 2
    assert f"{name}: is an input" in run.err
    assert Path(name).read_bytes() == buffer.getvalue()


def test_a_template_whose_blank_form_is_missing_is_refused(run: Run) -> None:
    save(Path("a.png"), FILLED)
    Path("form.blank.png").unlink()
    assert run("a.png", "--template", "form.json") == 65
    assert "its blank form form.blank.png can't be used" in run.err


def test_a_blank_form_of_another_size_is_refused(run: Run) -> None:
    save(Path("a.png"), FILLED)
    save(Path("form.blank.png"), FILLED[:-10])
    assert run("a.png", "--template", "form.json") == 65
    assert "make them one size" in run.err


def test_real_pages_have_as_many_characters_as_digits_and_the_blank_form_none(run: Run) -> None:
    """NIST's three pages and the blank form: no digit is inserted or lost."""
    folder = shared_data() / "forms"
    fields = json.loads((folder / "fields.json").read_text())
    blank = Image.open(folder / "blank.tif")
    blank.save("nist.png")
    facts = {
        "format": 1,
        "page": {"width": blank.width, "height": blank.height, "dpi": 300},
        "blank": "nist.png",
        "fields": [{"name": f["field"], "box": f["box"], "digits": f["digits"]} for f in fields],
    }
    Path("nist.json").write_text(json.dumps(facts))
    pages = [str(folder / f"page-{letter}.tif") for letter in "abc"]
    assert run(*pages, str(folder / "blank.tif"), "--template", "nist.json") == 0
    assert run.summary["fields_cut"] == 3 * 28
    assert run.summary["fields_blank"] == 28
    keys = json.loads((folder / "keys.json").read_text())
    assert run.summary["rows"] == sum(len(text) for key in keys.values() for text in key.values())
