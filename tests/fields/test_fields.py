"""Fields from files of predictions: what is read, what goes to review and why."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from scored_cells import Cell, write_cells

from batchdigits.errors import TryAgainError, UsageError
from batchdigits.fields.__main__ import main
from batchdigits.fields.job import assemble_fields
from batchdigits.fields.options import FieldOptions

Row = dict[str, Any]


def cells_of(group: str, text: str, **facts: Any) -> list[Cell]:
    return [Cell(group, at, digit, **facts) for at, digit in enumerate(text, start=1)]


def fields_of(path: Path, *flags: str, output: str = "fields.parquet") -> list[Row]:
    target = path.with_name(output)
    assert main([str(path), "--group", "form", "--output", str(target), *flags]) == 0
    table = pc.read_csv(target) if target.suffix == ".csv" else pq.read_table(target)
    rows: list[Row] = table.to_pylist()
    return rows


def refused(path: Path, *flags: str, output: str = "fields.parquet") -> int:
    target = path.with_name(output)
    code = main([str(path), "--group", "form", "--output", str(target), *flags])
    assert not target.exists()
    return code


def texts(rows: list[Row]) -> list[tuple[str, str, str | None]]:
    return [(row["form"], row["text"], row["cause"]) for row in rows]


@pytest.fixture(params=["parquet", "csv"])
def cells_path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"cells.predictions.{request.param}"


def test_neighbouring_cells_become_one_row_in_the_order_of_the_input(cells_path: Path) -> None:
    cells = cells_of("B", "0071") + cells_of("A", "25")
    rows = fields_of(write_cells(cells_path, cells))
    assert texts(rows) == [("B", "0071", None), ("A", "25", None)]
    assert [row["cells"] for row in rows] == [4, 2]
    assert rows[0]["probability"] == pytest.approx(0.9**4, rel=1e-6)
    assert {row["decision"] for row in rows} == {"accept"}


def test_a_field_is_as_doubtful_as_its_weakest_cell(cells_path: Path) -> None:
    cells = cells_of("A", "123")
    cells[1].confidence, cells[1].decision = 0.4, "review"
    (row,) = fields_of(write_cells(cells_path, cells))
    assert (row["weakest"], row["weakest_position"]) == (pytest.approx(0.4), 2)
    assert (row["decision"], row["cause"]) == ("review", "cell")


def test_cells_of_a_field_may_come_in_any_order_and_count_from_0(cells_path: Path) -> None:
    cells = [Cell("A", 2, "3"), Cell("A", 0, "1"), Cell("A", 1, "2"), Cell("B", 0, "9")]
    assert texts(fields_of(write_cells(cells_path, cells))) == [
        ("A", "123", None),
        ("B", "9", None),
    ]


@pytest.mark.parametrize(
    ("cells", "text", "cause"),
    [
        ([Cell("A", 1, "1"), Cell("A", 3, "3")], "1?3", "gap"),
        ([Cell("A", 2, "2"), Cell("A", 3, "3")], "?23", "gap"),
        ([Cell("A", 1, "1"), Cell("A", 2, "2"), Cell("A", 2, "5")], "1?", "doubled"),
        ([Cell("A", 1, "1"), Cell("A", 2, None)], "1?", "rejected"),
        ([Cell("A", 1, None), Cell("A", 2, "2")], "?2", "rejected"),
        ([Cell("A", 1, None), Cell("A", 2, None)], "??", "rejected"),
        ([Cell("A", 1, "1"), Cell("A", None, None)], "1", "rejected"),
        ([Cell("A", 1, "1"), Cell("A", 10**9, "3")], None, "gap"),
    ],
)
def test_a_field_with_a_missing_cell_never_looks_like_a_shorter_number(
    cells_path: Path, cells: list[Cell], text: str | None, cause: str
) -> None:
    around = [*cells_of("before", "77"), *cells, *cells_of("after", "88")]
    rows = fields_of(write_cells(cells_path, around))
    expected = [("before", "77", None), ("A", text, cause), ("after", "88", None)]
    assert texts(rows) == expected
    assert rows[1]["decision"] == "review"
    complete = text is not None and "?" not in text
    assert complete or rows[1]["probability"] is None


def test_a_broken_line_casts_doubt_on_the_fields_around_it(cells_path: Path) -> None:
    cells = [
        *cells_of("A", "12"),
        *cells_of("B", "34"),
        Cell(None, None, None, reason="stray-quote"),
        *cells_of("C", "56"),
        *cells_of("D", "78"),
        Cell("D", 3, None, reason="too-few-cells"),
    ]
    rows = fields_of(write_cells(cells_path, cells))
    causes = [row["cause"] for row in rows]
    assert causes == [None, "rejected", "rejected", "rejected"]


def test_a_broken_line_casts_no_doubt_on_fields_whose_cells_are_all_there(cells_path: Path) -> None:
    cells = [
        *cells_of("A", "12"),
        Cell(None, None, None, reason="stray-quote"),
        *cells_of("B", "3"),
    ]
    rows = fields_of(write_cells(cells_path, cells), "--length", "2")
    assert texts(rows) == [("A", "12", None), ("B", "3?", "rejected")]


def test_the_receipt_accounts_for_every_cell(tmp_path: Path) -> None:
    cells = [*cells_of("A", "12"), Cell("A", 3, None), Cell(None, None, None, reason="blank-line")]
    fields_of(write_cells(tmp_path / "cells.parquet", cells))
    receipt = json.loads((tmp_path / "fields.fields.receipt.json").read_text())
    counts = {name: receipt[name] for name in ("cells", "cells_rejected", "cells_without_field")}
    assert counts == {"cells": 4, "cells_rejected": 2, "cells_without_field": 1}
    assert (receipt["fields"], receipt["accepted"]) == (1, 0)
    assert receipt["to_review"] == {"rejected": 1}
    assert receipt["outputs"]["fields"]["path"] == "fields.parquet"


def test_cells_that_are_not_neighbours_are_put_together_and_go_to_review(cells_path: Path) -> None:
    first, second = cells_of("A", "123")[:2], cells_of("A", "123")[2:]
    cells = [*first, *cells_of("B", "77"), *second, *cells_of("C", "88")]
    rows = fields_of(write_cells(cells_path, cells))
    assert texts(rows) == [("A", "123", "scattered"), ("B", "77", None), ("C", "88", None)]


def test_the_same_field_in_two_files_is_scattered(tmp_path: Path) -> None:
    one = write_cells(tmp_path / "one.parquet", cells_of("A", "1"))
    two = write_cells(tmp_path / "two.parquet", [Cell("A", 2, "2"), Cell("B", 1, "3")])
    output = tmp_path / "out.csv"
    flags = ["--group", "form", "--output", str(output)]
    assert main([str(one), str(two), *flags]) == 0
    assert pc.read_csv(output)["text"].to_pylist() == [12, 3]
    assert pc.read_csv(output)["cause"].to_pylist() == ["scattered", ""]


def test_a_length_shows_a_missing_last_digit(cells_path: Path) -> None:
    cells = [*cells_of("A", "123"), *cells_of("B", "45"), *cells_of("C", "6789")]
    rows = fields_of(write_cells(cells_path, cells), "--length", "3")
    assert texts(rows) == [("A", "123", None), ("B", "45?", "length"), ("C", "6789", "length")]


def test_a_wrong_check_digit_sends_the_field_to_review(cells_path: Path) -> None:
    cells = [*cells_of("A", "79927398713"), *cells_of("B", "79927398710")]
    rows = fields_of(write_cells(cells_path, cells), "--check", "luhn")
    assert [row["cause"] for row in rows] == [None, "check"]


CLASSES = "0123456789"


def doubtful(group: str, *cells: dict[str, float]) -> list[Cell]:
    """Cells with probabilities by class, each read as its most probable class."""
    result = []
    for at, proba in enumerate(cells, start=1):
        best = max(proba, key=proba.__getitem__)
        result.append(Cell(group, at, best, proba[best], proba=proba))
    return result


def test_a_text_that_is_not_allowed_becomes_the_most_probable_one_that_is(cells_path: Path) -> None:
    cells = [
        *doubtful("A", {"1": 0.6, "7": 0.4}, {"2": 0.9, "3": 0.1}),
        *doubtful("B", {"7": 1.0}, {"2": 1.0}),
        *doubtful("C", {"9": 1.0}, {"9": 1.0}),
    ]
    values = cells_path.with_name("values.txt")
    values.write_text("72\n73\n\n1234\n")
    path = write_cells(cells_path, cells, classes=CLASSES)
    rows = fields_of(path, "--values", str(values))
    assert texts(rows) == [("A", "72", "corrected"), ("B", "72", None), ("C", "99", "values")]
    assert rows[0]["read"] in ("12", 12)
    assert rows[0]["probability"] == pytest.approx(0.36, rel=1e-5)
    assert (rows[0]["weakest"], rows[0]["weakest_position"]) == (pytest.approx(0.4), 1)
    by_pattern = fields_of(path, "--pattern", "7[0-9]", output="pattern.parquet")
    assert texts(by_pattern) == [
        ("A", "72", "corrected"),
        ("B", "72", None),
        ("C", "99", "pattern"),
    ]


def test_a_corrected_field_is_accepted_if_it_is_probable_enough(tmp_path: Path) -> None:
    cells = doubtful("A", {"1": 0.6, "7": 0.4}) + doubtful("B", {"1": 0.9, "7": 0.1})
    path = write_cells(tmp_path / "cells.parquet", cells, classes=CLASSES)
    rows = fields_of(path, "--pattern", "7", "--review-below", "30%")
    assert texts(rows) == [("A", "7", None), ("B", "7", "probability")]


def test_a_wrong_check_digit_is_never_corrected_away_by_a_pattern(tmp_path: Path) -> None:
    cells = doubtful("A", {"1": 1.0}, {"7": 0.6, "8": 0.4})  # 18 has the right check digit
    path = write_cells(tmp_path / "cells.parquet", cells, classes=CLASSES)
    (row,) = fields_of(path, "--pattern", "[0-9]+", "--check", "luhn")
    assert (row["text"], row["read"], row["cause"]) == ("17", None, "check")


def test_patterns_and_values_need_the_probabilities(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "1"))
    assert refused(path, "--pattern", "1") == 65
    assert "--probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--position", "place"], 65, "no column 'place'"),
        (["--position", "form"], 2, "each names a column of its own"),
        (["--check", "nonsense"], 2, "luhn"),
        (["--check", "../os"], 2, "luhn"),
        (["--pattern", "("], 2, "not a regular expression"),
        (["--values", "absent.txt"], 66, "no such file"),
        (["--values", "/dev/zero"], 65, "a device"),
        (["--review-below", "2"], 2, "0.95 or 95%"),
        (["--length", "0"], 2, "--length"),
        (["--length", "2000"], 2, "1 to 1000"),
        (["--template", "absent.json"], 2, "the column 'field'"),
    ],
)
def test_unusable_flags_are_refused_with_what_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], code: int, words: str
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "1"), classes=CLASSES)
    assert refused(path, *flags) == code
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_missing_group_column_lists_the_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "1"))
    output = str(tmp_path / "out.parquet")
    assert main([str(path), "--group", "account", "--output", output]) == 65
    assert "no column 'account'" in capsys.readouterr().err


@pytest.mark.parametrize("position", ["x", "1.5", "", "-1", "1e3"])
def test_positions_that_are_no_whole_numbers_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], position: str
) -> None:
    path = tmp_path / "cells.csv"
    path.write_text(f"form,position,prediction,confidence\nA,1,5,0.9\nA,{position},6,0.9\n")
    assert refused(path, "--length", "2") == 65
    assert "position" in capsys.readouterr().err


def test_without_a_receipt_the_length_must_be_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "12"), receipt=False)
    assert refused(path) == 66
    assert "--length or --template" in capsys.readouterr().err
    assert texts(fields_of(path, "--length", "2")) == [("A", "12", None)]


def test_what_is_no_predictions_is_told_with_the_file_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.predictions.parquet", cells_of("A", "12"))
    rows = tmp_path / "cells.parquet"
    rows.write_bytes(path.read_bytes())
    assert refused(rows) == 65
    words = "cells.parquet: cells.receipt.json beside it is of cells.predictions.parquet; name that"
    assert words in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / "folder") == 66
    assert "folder: is not a file; give the predictions" in capsys.readouterr().err


def test_predictions_that_were_changed_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.csv", cells_of("A", "12"))
    path.write_bytes(path.read_bytes().replace(b"0.9", b"0.8", 1))
    assert refused(path) == 65
    assert "was changed" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["34", "1", None], ids=["other", "fewer", "removed"])
def test_predictions_that_change_while_they_are_read_are_tried_again(
    tmp_path: Path, text: str | None
) -> None:
    """Whatever the second pass makes of them."""
    path = write_cells(tmp_path / "cells.csv", cells_of("A", "12"))

    def change(*_: Any) -> None:
        path.unlink(missing_ok=True)
        if text is not None:
            write_cells(path, cells_of("A", text), receipt=False)

    options = FieldOptions(("form",), "position")
    target = tmp_path / "fields.csv"
    with pytest.raises(TryAgainError, match=r"cells\.csv: was changed while it was read"):
        assemble_fields([path], target, options, overwrite=False, on_progress=change)
    assert not target.exists()


def test_a_receipt_that_counts_other_rows_is_refused(tmp_path: Path) -> None:
    assert refused(write_cells(tmp_path / "cells.csv", cells_of("A", "12"), rows_in=3)) == 65


def test_one_group_for_all_rows_is_no_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [Cell("A", at % 8 + 1, "1") for at in range(1001)]
    assert refused(write_cells(tmp_path / "cells.parquet", cells)) == 65
    assert "name all columns that tell fields apart" in capsys.readouterr().err


def test_labels_of_several_characters_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(write_cells(tmp_path / "cells.parquet", cells_of("A", ["12", "3"]))) == 65
    assert "one character" in capsys.readouterr().err


def test_a_rerun_is_unchanged_and_other_options_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "12"))
    fields_of(path)
    before = (tmp_path / "fields.parquet").read_bytes()
    fields_of(path)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "unchanged"
    flags = [str(path), "--group", "form", "--output", str(tmp_path / "fields.parquet")]
    assert main([*flags, "--length", "3"]) == 73
    assert (tmp_path / "fields.parquet").read_bytes() == before
    assert main([*flags, "--length", "3", "--overwrite"]) == 0
    assert (tmp_path / "fields.parquet").read_bytes() != before


@pytest.mark.parametrize("damage", [{"cells": None}, {"to_review": None}, {"accepted": 2}])
def test_a_receipt_without_counts_that_add_up_is_of_no_finished_work(
    damage: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "12"))
    fields_of(path)
    receipt = tmp_path / "fields.fields.receipt.json"
    receipt.write_text(json.dumps({**json.loads(receipt.read_text()), **damage}))
    output = str(tmp_path / "fields.parquet")
    assert main([str(path), "--group", "form", "--output", output]) == 73
    assert "fields.parquet: exists already" in capsys.readouterr().err


def write_template(path: Path, digits: Mapping[str, int]) -> Path:
    fields = [
        {"name": name, "box": [0, 50 * at, 90, 50 * at + 40], "digits": count}
        for at, (name, count) in enumerate(digits.items())
    ]
    page = {"width": 100, "height": 100, "dpi": 300}
    path.write_text(json.dumps({"format": 1, "page": page, "fields": fields}))
    return path


def test_a_template_gives_the_length_of_each_field(tmp_path: Path) -> None:
    cells = [*cells_of("zip", "12"), *cells_of("id", "34"), *cells_of("other", "5")]
    path = write_cells(tmp_path / "cells.parquet", cells, group="field")
    template = write_template(tmp_path / "form.json", {"zip": 3, "id": 4})
    text = template.read_text().replace('"digits": 4', '"digits_at_most": 4')
    template.write_text(text)
    output = tmp_path / "fields.parquet"
    flags = ["--group", "field", "--template", str(template), "--output", str(output)]
    assert main([str(path), *flags]) == 0
    rows = pq.read_table(output).to_pylist()
    expected = [("12?", "length"), ("34", None), ("5", None)]
    assert [(row["text"], row["cause"]) for row in rows] == expected


@pytest.mark.parametrize("name", ["zip", "ID"])
def test_without_a_receipt_a_template_must_have_the_exact_length_of_each_field(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A field that may be shorter, or that no template names, could have lost its last cell."""
    template = write_template(tmp_path / "form.json", {"zip": 3, "id": 2})
    text = template.read_text().replace('"digits": 3', '"digits_at_most": 3')
    template.write_text(text)
    flags = ["--group", "field", "--template", str(template)]
    loose, exact = (
        write_cells(tmp_path / f"{of}.csv", cells_of(of, "12"), receipt=False, group="field")
        for of in (name, "id")
    )
    assert main([str(exact), str(loose), *flags, "--output", str(tmp_path / "out.csv")]) == 66
    assert f"no template has `digits` for {name}, only for id;" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()
    assert main([str(exact), *flags, "--output", str(tmp_path / "out.csv")]) == 0


def test_of_several_templates_each_gives_its_own_lengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two forms may have a field of one name and different lengths, and names of any bytes."""
    path = write_cells(
        tmp_path / "cells.parquet", [*cells_of("a", "12"), *cells_of("b\\xe4", "34")]
    )
    table = pq.read_table(path)
    names = ["template", "position", "prediction", "confidence", "d"]
    table = table.rename_columns(names).append_column("field", pa.array(["zip"] * len(table)))
    named = tmp_path / "named.parquet"
    pq.write_table(table, named)
    (tmp_path / "templates").mkdir()
    for name, count in {"a": 3, os.fsdecode(b"b\xe4"): 2}.items():
        write_template(tmp_path / "templates" / f"{name}.json", {"zip": count})
    output = tmp_path / "fields.parquet"
    flags = ["--template", str(tmp_path / "templates"), "--output", str(output)]
    assert main([str(named), "--group", "field", *flags]) == 2
    assert "the column 'template' tells which" in capsys.readouterr().err
    for status in ("assembled", "unchanged"):
        assert main([str(named), "--group", "template,field", *flags]) == 0
        assert json.loads(capsys.readouterr().out)["status"] == status
    rows = pq.read_table(output).to_pylist()
    assert [(row["text"], row["cause"]) for row in rows] == [("12?", "length"), ("34", None)]
    receipt = json.loads((tmp_path / "fields.fields.receipt.json").read_text())
    assert receipt["options"]["lengths"].keys() == {"a", "b\\xe4"}


def test_fields_agree_with_a_slow_reference(tmp_path: Path) -> None:
    """Random forms with gaps, doubled positions, rejects and scattered cells."""
    chance = random.Random(5)  # noqa: S311  # not a secret, but the same each time
    cells: list[Cell] = []
    for number in range(3000):
        text = "".join(chance.choices(CLASSES, k=chance.randint(1, 9)))
        field = cells_of(f"F{number}", text)
        for cell in field:
            cell.confidence = round(chance.uniform(0.5, 1), 4)
        fate = chance.random()
        if fate < 0.1 and len(field) > 2:
            del field[chance.randrange(len(field) - 1)]
        elif fate < 0.2:
            field.append(Cell(f"F{number}", chance.randint(1, len(field)), "5"))
        elif fate < 0.3:
            field[chance.randrange(len(field))].digit = None
        chance.shuffle(field)
        cells += field
    for _ in range(20):
        cells.append(cells.pop(chance.randrange(len(cells))))
    rows = fields_of(write_cells(tmp_path / "cells.parquet", cells))
    expected = reference(cells)
    assert [(row["form"], row["text"], row["cause"]) for row in rows] == [
        (key, text, cause) for key, text, cause, _ in expected
    ]
    for row, (_, _, _, probability) in zip(rows, expected, strict=True):
        assert row["probability"] == (
            None if probability is None else pytest.approx(probability, rel=1e-6)
        )


def reference(cells: list[Cell]) -> list[tuple[str, str, str | None, float | None]]:
    """The fields cell by cell: no batches, no arrays."""
    groups: dict[str, list[tuple[int, Cell]]] = {}
    for at, cell in enumerate(cells):
        groups.setdefault(str(cell.group), []).append((at, cell))
    result = []
    for key, members in groups.items():
        places = [at for at, _ in members]
        scattered = places[-1] - places[0] != len(places) - 1
        by_position: dict[int, list[Cell]] = {}
        for _, cell in members:
            by_position.setdefault(int(cell.position or 0), []).append(cell)
        text, product, causes = "", 1.0, set()
        for position in range(1, max(by_position) + 1):
            here = by_position.get(position, [])
            if len(here) == 1 and here[0].digit is not None:
                text += here[0].digit
                product *= here[0].confidence
                continue
            text += "?"
            causes.add("gap" if not here else "doubled" if len(here) > 1 else "")
        if any(cell.digit is None for _, cell in members):
            causes.add("rejected")
        order = ["scattered", "doubled", "rejected", "gap"]
        causes |= {"scattered"} if scattered else set()
        cause = next((name for name in order if name in causes), None)
        result.append((key, text, cause, None if "?" in text else product))
    return result


def test_options_are_refused_where_they_are_made() -> None:
    from batchdigits.fields.options import FieldOptions

    with pytest.raises(UsageError, match="fields writes a column of that name"):
        FieldOptions(("text",), "position").checked()


@pytest.mark.parametrize("name", ["cells.parquet", "link.parquet"])
def test_predictions_are_not_replaced_by_their_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = write_cells(tmp_path / "cells.parquet", cells_of("A", "1"))
    (tmp_path / "link.parquet").hardlink_to(path)
    before = path.read_bytes()
    flags = ["--group", "form", "--length", "1", "--overwrite"]
    assert main([str(path), *flags, "--output", str(tmp_path / name)]) == 2
    assert "is an input" in capsys.readouterr().err
    assert path.read_bytes() == before
