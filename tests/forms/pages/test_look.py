"""The commands `forms template` and `forms show`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_form import ANSWERS, DPI, FIELDS, as_pdf, draw_form, save, turned, warped
from PIL import Image

from batchdigits.errors import IOFailedError
from batchdigits.files.atomic import write_output
from batchdigits.forms.__main__ import main
from batchdigits.rows.template import Template


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `forms`; returns the exit code, the summary and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, json.loads(captured.out) if captured.out else {}, captured.err

    return run


def is_drawn(path: str) -> bool:
    """Whether a picture has colours: something was drawn on the page."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return bool((np.ptp(pixels, axis=2) > 60).sum() > 500)


def test_a_template_is_made_and_reads_the_filled_form(run: Any) -> None:
    save(Path("blank.png"), draw_form())
    code, summary, _ = run("template", "blank.png", "--output", "form.json")
    assert code == 0
    assert (summary["fields"], summary["cells"], summary["marks"]) == (5, 9, 0)
    assert Template.read(Path("form.json")).dpi == DPI
    assert is_drawn("form.fields.png")
    save(Path("a.png"), warped(draw_form(ANSWERS), turned(1)))
    flags = ("--template", "form.json", "--output", "rows.parquet", "--workers", "1")
    code, summary, _ = run("read", "a.png", *flags)
    assert (code, summary["rows"]) == (0, sum(map(len, ANSWERS.values())))


def test_a_template_is_made_of_a_page_of_a_pdf(run: Any) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    as_pdf([np.full_like(draw_form(), 255), draw_form()], Path("blank.pdf"))
    flags = ("--page", "2", "--dpi", str(DPI), "--output", "form.json")
    code, summary, _ = run("template", "blank.pdf", *flags)
    assert code == 0
    assert summary["fields"] == len(FIELDS)
    assert summary["page"]["dpi"] == DPI


def test_a_blank_form_that_can_not_be_used_is_one_line(run: Any) -> None:
    save(Path("empty.png"), np.full((400, 400), 255, np.uint8))
    save(Path("turned.png"), warped(draw_form(), turned(2)))
    Image.fromarray(draw_form()).save("silent.png")
    for name, code, words in (
        ("empty.png", 65, "no box or comb"),
        ("turned.png", 65, "degrees; boxes are found on a straight"),
        ("silent.png", 2, "give it with --dpi"),
        ("none.png", 66, "no such file"),
    ):
        found, _, err = run("template", name, "--output", "form.json")
        assert (found, words in err, err.count("\n")) == (code, True, 1)
    assert not Path("form.json").exists()


@pytest.mark.parametrize(
    ("says", "flags", "code", "words"),
    [
        (DPI, ["--dpi", "99"], 2, "--dpi 99: expected 100 to 2400"),
        (DPI, ["--dpi", "9999"], 2, "--dpi 9999: expected 100 to 2400"),
        (72, [], 65, "it has 72 pixels to an inch, expected 100 to 2400; give the resolution"),
    ],
)
def test_a_template_that_could_not_be_read_is_not_written(
    run: Any, says: int, flags: list[str], code: int, words: str
) -> None:
    save(Path("blank.png"), draw_form(), says)
    found, _, err = run("template", "blank.png", "--output", "form.json", *flags)
    assert (found, words in err, err.count("\n")) == (code, True, 1)
    assert [path.name for path in Path.cwd().iterdir()] == ["blank.png"]


def test_a_template_of_boxes_that_are_too_small_is_not_written(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchdigits.forms.pages.look.LEAST_DPI", 50)
    save(Path("blank.png"), draw_form(), 50)
    code, _, err = run("template", "blank.png", "--output", "form.json")
    words = "less than 12 pixels wide or high; give the resolution of the form with --dpi"
    assert (code, words in err, err.count("\n")) == (65, True, 1)
    assert [path.name for path in Path.cwd().iterdir()] == ["blank.png"]


def test_names_of_any_bytes_are_kept(run: Any) -> None:
    """The template names its blank form by bytes that are not UTF-8, as JSON can."""
    odd = os.fsdecode(b"M\xfcller")
    save(Path(f"{odd}.png"), draw_form())
    assert run("template", f"{odd}.png", "--output", f"{odd}.json")[0] == 0
    assert Template.read(Path(f"{odd}.json")).blank == Path(f"{odd}.blank.png")
    flags = ("--template", f"{odd}.json", "--output", "out.png")
    assert run("show", f"{odd}.png", *flags)[0] == 0
    save(Path(f"{odd}.png"), draw_form()[:, ::-1].copy())
    code, summary, _ = run("show", f"{odd}.png", *flags, "--overwrite")
    assert (code, summary["file"], summary["refused"]) == (0, f"{odd}.png", "other-form")


def test_files_that_are_there_are_replaced_only_on_demand(run: Any) -> None:
    save(Path("blank.png"), draw_form())
    assert run("template", "blank.png", "--output", "form.json")[0] == 0
    assert run("template", "blank.png", "--output", "form.json")[0] == 73
    assert run("template", "blank.png", "--output", "form.json", "--overwrite")[0] == 0


@pytest.mark.parametrize("output", ["a.png", "form.blank.png", "link.png"])
def test_show_does_not_overwrite_what_it_reads(output: str, run: Any) -> None:
    save(Path("blank.png"), draw_form())
    run("template", "blank.png", "--output", "form.json")
    save(Path("a.png"), draw_form(ANSWERS))
    Path("link.png").hardlink_to("a.png")
    before = Path(output).read_bytes()
    flags = ("--template", "form.json", "--output", output, "--overwrite")
    code, _, err = run("show", "a.png", *flags)
    assert (code, f"and {output} would overwrite it" in err) == (2, True)
    assert Path(output).read_bytes() == before


@pytest.mark.parametrize("blank", ["form.blank.png", "form.fields.png"])
def test_a_template_does_not_overwrite_the_blank_form_that_it_is_made_of(
    blank: str, run: Any
) -> None:
    save(Path(blank), draw_form())
    before = Path(blank).read_bytes()
    code, _, err = run("template", blank, "--output", "form.json", "--overwrite")
    assert (code, f"{blank}: is an input" in err) == (2, True)
    assert [path.name for path in Path.cwd().iterdir()] == [blank]
    assert Path(blank).read_bytes() == before


def test_after_a_full_disk_the_same_command_makes_the_template(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes, *, overwrite: bool) -> None:
        if path.suffix == ".json":
            raise IOFailedError(f"{path}: writing failed: No space left on device")
        write_output(path, data, overwrite=overwrite)

    save(Path("blank.png"), draw_form())
    with monkeypatch.context() as patch:
        patch.setattr("batchdigits.forms.pages.look.write_output", full)
        assert run("template", "blank.png", "--output", "form.json")[0] == 74
    assert [path.name for path in Path.cwd().iterdir()] == ["blank.png"]
    assert run("template", "blank.png", "--output", "form.json")[0] == 0
    assert len(list(Path.cwd().iterdir())) == 4


def test_show_draws_a_page_and_tells_its_fields(run: Any) -> None:
    save(Path("blank.png"), draw_form())
    run("template", "blank.png", "--output", "form.json")
    save(Path("a.png"), draw_form({**ANSWERS, "day": "", "year": "19 4"}))
    code, summary, _ = run("show", "a.png", "--template", "form.json", "--output", "seen.png")
    assert code == 0
    assert list(summary["fields"].values()) == [0, 6, 3, 5, 3]
    assert summary["registration"] > 0.95
    assert is_drawn("seen.png")


def test_show_draws_a_refused_page_with_its_reason(run: Any) -> None:
    save(Path("blank.png"), draw_form())
    run("template", "blank.png", "--output", "form.json")
    save(Path("a.png"), np.rot90(draw_form(ANSWERS), 2))
    code, summary, _ = run("show", "a.png", "--template", "form.json", "--output", "seen.png")
    assert (code, summary["refused"]) == (0, "upside-down")
    assert is_drawn("seen.png")


def test_show_refuses_a_page_that_is_not_there(run: Any) -> None:
    save(Path("blank.png"), draw_form())
    run("template", "blank.png", "--output", "form.json")
    flags = ("--template", "form.json", "--output", "seen.png", "--page", "2")
    code, _, err = run("show", "blank.png", *flags)
    assert (code, "blank.png has 1" in err) == (2, True)
