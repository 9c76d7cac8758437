"""docs/reference/outputs.md: names of output files, their columns, reasons and causes."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pages import code, codes, reference, section, table

from batchdigits.files.inputs import expand_inputs
from batchdigits.files.targets import plan_targets
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.decision import CAUSES

PAGE = reference("outputs")
PREDICTIONS = section(PAGE, "Predictions")
REJECTS = section(PAGE, "Rejects")


def test_outputs_are_named_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name, output, *expected in table(section(PAGE, "Names"), "input"):
        path = Path(code(name).replace("*", "a"))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
        inputs = expand_inputs([code(name)])
        (targets,) = plan_targets(inputs, code(output) if output else None)
        assert [str(path) for path in targets.finals] == [code(cell) for cell in expected]


def test_reasons_are_in_their_order_with_their_texts() -> None:
    rows = [(code(name), text) for name, text in table(section(PAGE, "Reason codes"), "reason")]
    assert rows == list(REASONS.items())


def test_causes_are_in_their_order_with_their_texts() -> None:
    rows = [(code(name), text) for name, text in table(section(PAGE, "Decisions"), "cause")]
    assert rows == list(CAUSES.items())


def types_of(path: Path) -> dict[str, str]:
    return {field.name: str(field.type) for field in pq.read_schema(path)}


def test_rejects_have_the_columns_in_the_table(scored_folder: Path) -> None:
    documented = {code(row[0]): code(row[1]) for row in table(REJECTS, "column")[1:]}
    written = list(types_of(scored_folder / "out.rejects.parquet").items())
    assert list(documented.items()) == written[-len(documented) :]
    assert dict(written).keys() - documented == {"form_id", "field", "position", "label"}


def test_predictions_have_the_columns_in_the_table(scored_folder: Path) -> None:
    rows = table(PREDICTIONS, "column", "Parquet type")[1:]
    documented = {code(row[0]): codes(row[1]) for row in rows}
    types = types_of(scored_folder / "out.parquet")
    assert list(types)[4:6] == list(documented)[1:3]  # there is no `row`: other columns are there
    assert types["prediction"] in documented["prediction"]
    assert [types["confidence"]] == documented["confidence"]
    assert {types[f"proba_{digit}"] for digit in range(10)} == set(documented["proba_CLASS"])


def test_reserved_names_are_those_of_the_output_columns() -> None:
    rows = table(section(reference("inputs"), "Other columns"), "reserved")
    reserved = [name for row in rows for name in codes(row[0]) if not name.startswith("--")]
    columns = [row for text in (PREDICTIONS, REJECTS) for row in table(text, "column")[1:]]
    assert sorted(reserved) == sorted({code(row[0]) for row in columns})
