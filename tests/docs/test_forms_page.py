"""docs/reference/forms.md: reasons, columns and fields."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from crops import crop
from documented_fields import check_fields
from drawn_form import ANSWERS, draw_form, save, template, write_template
from pages import code, reference, section, table
from PIL import Image

from batchdigits.forms.__main__ import main
from batchdigits.forms.columns import CELLS
from batchdigits.forms.pages.field_cells import FIELD_REASONS
from batchdigits.forms.pages.page import PAGE_REASONS
from batchdigits.forms.pages.page_rows import schema_of
from batchdigits.forms.pictures import REASONS

PAGE = reference("forms")


def test_every_reason_is_in_the_table() -> None:
    rows = table(PAGE, "reason")
    assert {code(reason): meaning for reason, meaning in rows} == REASONS


def test_every_column_is_in_the_table() -> None:
    names = [code(row[0]) for row in table(section(PAGE, "Crops"), "column")]
    assert [name for name in names if name != "label"] == CELLS.names


def test_summary_and_receipt_have_the_fields_in_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(crop()).save("a.png")
    assert main(["cells", "a.png", "--output", "rows.parquet", "--workers", "1"]) == 0
    check_fields(table(PAGE, "summary of `cells`"), json.loads(capsys.readouterr().out))
    receipt = json.loads(Path("rows.forms.receipt.json").read_text())
    check_fields(table(PAGE, "receipt of `cells`"), receipt)


def test_a_receipt_of_a_file_of_rows_has_the_options_in_both_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.stack([crop(3), crop(7)])[:, :30, :30])
    assert main(["cells", "rows.npy", "--output", "rows.parquet", "--workers", "1"]) == 0
    options = json.loads(Path("rows.forms.receipt.json").read_text())["options"]
    rows = [row for row in table(PAGE, "receipt of `cells`") if row[0].startswith("`options.")]
    rows += table(PAGE, "receipt of a file of rows")
    check_fields([[row[0].replace("options.", ""), *row[1:]] for row in rows], options)


def test_the_lines_about_blank_crops_take_them_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for digit in (3, 7):
        Path(f"crops/{digit}").mkdir(parents=True)
        Image.fromarray(crop(digit)).save(f"crops/{digit}/0001.png")
    Image.new("L", (30, 40), 255).save("crops/3/0002.png")
    assert main(["cells", "crops/", "--output", "rows.parquet", "--workers", "1"]) == 0
    text = (Path(__file__).parents[2] / "docs/crops.md").read_text(encoding="utf-8")
    lines = section(text, "Labelled crops").splitlines()
    program = [line.strip() for line in lines if line.startswith(("    import ", "    pq."))]
    exec("\n".join(program), {})  # noqa: S102
    assert pq.read_table("rows.parquet")["blank"].to_pylist() == [False, True, False]
    assert pq.read_table("labelled.parquet")["label"].to_pylist() == [3, 7]


def test_every_reason_of_pages_and_fields_is_in_its_table() -> None:
    pages, fields = (table(PAGE, f"why a {thing} is refused") for thing in ("page", "field"))
    assert {code(reason): meaning for reason, meaning in pages} == PAGE_REASONS
    assert {code(reason): meaning for reason, meaning in fields} == FIELD_REASONS


def test_every_column_of_pages_is_in_its_table() -> None:
    names = [code(row[0]) for row in table(PAGE, "column of pages")]
    assert names == schema_of(several=True).names


def test_the_schema_of_a_template_has_the_keys_that_are_read(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "docs/reference/form-template.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    facts = template(tmp_path / "blank.png", marks=True).facts()
    assert set(schema["properties"]) == set(facts)
    page = schema["properties"]["page"]
    assert set(page["properties"]) == set(facts["page"])
    assert not any(
        part["additionalProperties"]
        for part in (schema, page, schema["properties"]["fields"]["items"])
    )
    keys = {key for field in facts["fields"] for key in field}
    assert set(schema["properties"]["fields"]["items"]["properties"]) == keys
    documented = {code(row[0]) for row in table(PAGE, "key of a template")}
    assert documented == {
        "format",
        *(f"page.{key}" for key in facts["page"]),
        "blank",
        "fields",
        *(f"fields[].{key}" for key in keys),
        "marks",
    }


def test_summary_and_receipt_of_read_have_the_fields_in_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_template(tmp_path)
    save(Path("a.png"), draw_form(ANSWERS))
    flags = ["--template", "form.json", "--output", "rows.parquet", "--workers", "1"]
    assert main(["read", "a.png", *flags]) == 0
    check_fields(table(PAGE, "summary of `read`"), json.loads(capsys.readouterr().out))
    receipt = json.loads(Path("rows.forms.receipt.json").read_text())
    for opened in ("options.templates",):
        part = receipt
        *way, last = opened.split(".")
        for key in way:
            part = part[key]
        part[last] = {}
    check_fields(table(PAGE, "receipt of `read`"), receipt)
