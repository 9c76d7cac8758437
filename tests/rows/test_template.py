"""Templates: read, written, and refused with all that is wrong in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from drawn_form import DPI, HEIGHT, MARKS, WIDTH, template, write_template

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.digest import digest_bytes
from batchdigits.rows.template import Template, read_templates


def test_a_template_that_was_written_is_read_back(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    found = Template.read(path)
    assert found.fields == template().fields
    assert (found.width, found.height, found.dpi) == (WIDTH, HEIGHT, DPI)
    assert found.blank == tmp_path / "form.blank.png"
    assert found.facts() == json.loads(path.read_text())
    assert found.digest.startswith("sha256:")


def test_marks_are_optional(tmp_path: Path) -> None:
    path = tmp_path / "form.json"
    path.write_text(json.dumps(template(marks=True).facts()))
    assert Template.read(path).marks == MARKS


def broken(change: Any) -> dict[str, Any]:
    facts = template().facts()
    change(facts)
    return facts


WRONG = {
    "2 fields are named 'day'": lambda t: t["fields"][1].update(name="day"),
    "outside of the page": lambda t: t["fields"][0].update(box=[100, 200, WIDTH + 1, 270]),
    "less than 12 pixels": lambda t: t["fields"][0].update(box=[100, 200, 105, 270]),
    "expected four whole numbers": lambda t: t["fields"][0].update(box=[100, 200, 260.5, 270]),
    "has 2 of digits and digits_at_most": lambda t: t["fields"][0].update(digits_at_most=3),
    "has 0 of digits and digits_at_most": lambda t: t["fields"][0].pop("digits"),
    "has digits 0, expected": lambda t: t["fields"][0].update(digits=0),
    "has digits True, expected": lambda t: t["fields"][0].update(digits=True),
    "has 5 cells and 4 digits": lambda t: t["fields"][3].update(digits=4),
    "number, cell 1 has box [0, 420, 180, 490], outside of its field": lambda t: t["fields"][3][
        "cells"
    ].__setitem__(0, [0, 420, 180, 490]),
    "number: cells go from left to right, side by side, and cell 2, 3, 4, 5 begins": lambda t: t[
        "fields"
    ][3]["cells"].reverse(),
    "number: cells go from left to right, side by side, and cell 3 begins": lambda t: t["fields"][
        3
    ]["cells"].__setitem__(2, [239, 420, 340, 490]),
    "the unknown key 'digit'": lambda t: t["fields"][0].update(digit=2),
    "template has the unknown key 'pages'": lambda t: t.update(pages=1),
    "page has the unknown key 'foo'": lambda t: t["page"].update(foo=1),
    "format is True, this batchdigits reads 1": lambda t: t.update(format=True),
    "format is 2, this batchdigits reads 1": lambda t: t.update(format=2),
    "there is no field": lambda t: t.update(fields=[]),
    "field 1 has no name and box": lambda t: t["fields"][0].pop("name"),
    "page has dpi 7": lambda t: t["page"].update(dpi=7),
    "page is 5x800 pixels": lambda t: t["page"].update(width=5),
    "expected an object with format 1": lambda t: t.pop("page"),
    "blank is None": lambda t: t.update(blank=None),
    "blank is 'a\\x00.png'": lambda t: t.update(blank="a\0.png"),
    "blank is '\\ud800.png'": lambda t: t.update(blank="\ud800.png"),
    "field 1 has the name '\\ud800x', which is not text": lambda t: t["fields"][0].update(
        name="\ud800x"
    ),
    "cells is not a list": lambda t: t["fields"][0].update(cells=None),
    "marks is not a list": lambda t: t.update(marks=None),
    "blank is '../a.png'": lambda t: t.update(blank="../a.png"),
    "mark 1 has box [1], expected": lambda t: t.update(marks=[[1]]),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_named(words: str, tmp_path: Path) -> None:
    path = tmp_path / "form.json"
    path.write_text(json.dumps(broken(WRONG[words])))
    with pytest.raises(UnusableInputError) as caught:
        Template.read(path)
    assert words in str(caught.value)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    facts = broken(WRONG["2 fields are named 'day'"])
    facts["fields"][4]["box"] = [0, 0, 9999, 50]
    path = tmp_path / "form.json"
    path.write_text(json.dumps(facts))
    with pytest.raises(UnusableInputError, match=r"named 'day'.*outside of the page"):
        Template.read(path)


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "format": 1}', "[1]"])
def test_what_is_no_template_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "form.json"
    path.write_text(text)
    with pytest.raises(UnusableInputError, match="form.json"):
        Template.read(path)


def test_a_byte_order_mark_is_read_over_and_counts_for_the_digest(tmp_path: Path) -> None:
    """An editor of Windows writes one."""
    path = write_template(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    found = Template.read(path)
    assert found.fields == template().fields
    assert found.digest == digest_bytes(path.read_bytes())


def test_a_slip_of_the_editor_can_be_mended(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    path.write_text(path.read_text().replace("}]", "},]"))
    with pytest.raises(UnusableInputError, match="is not JSON in UTF-8: .*; mend it, or"):
        Template.read(path)


def test_cells_may_share_a_line(tmp_path: Path) -> None:
    facts = template().facts()
    facts["fields"][3]["cells"][2][0] -= 20
    path = tmp_path / "form.json"
    path.write_text(json.dumps(facts))
    assert Template.read(path).fields[3].cells[2] == (240, 420, 340, 490)


def test_a_folder_stands_for_the_templates_in_it_and_not_for_hidden_files(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    (tmp_path / "._form.json").write_bytes(b"Mac OS X")
    assert [template.path for template in read_templates([str(tmp_path)])] == [path]


def test_a_template_that_is_not_there_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="forms template"):
        Template.read(tmp_path / "none.json")
