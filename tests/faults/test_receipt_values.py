"""Receipts in which one value is another: whatever it is, no command ends in an internal error."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLE_DATA
from reviews import Pen, made, predicted, settle_all, truths

from batchdigits.fields.__main__ import main as fields
from batchdigits.forms.__main__ import main as forms
from batchdigits.predict import main as predict
from batchdigits.receipts import main as receipts
from batchdigits.report.__main__ import main as report
from batchdigits.review.__main__ import main as review

Call = tuple[Callable[[list[str]], int], list[str]]

OTHERS = [None, 2**70, "x", {}]

FORM = SAMPLE_DATA / "form"
PREDICT: Call = predict, ["forms.parquet", "--review-below", "0.999"]
FIELDS: Call = fields, ["forms.predictions.parquet", "--group", "form_id", "--output", "f.csv"]
CROPS: Call = forms, ["cells", str(SAMPLE_DATA / "crops.zip"), "--output", "crops.parquet"]
PAGES: Call = (
    forms,
    [
        "read",
        str(FORM / "page.png"),
        "--template",
        str(FORM / "form.json"),
        "--output",
        "p.parquet",
    ],
)
APPLY: Call = review, ["apply", "review"]


@dataclass(frozen=True)
class Kind:
    """A kind of receipt, and the commands that read it as what they finished before."""

    receipt: str
    again: tuple[Call, ...]
    is_verified: bool = False

    @property
    def calls(self) -> Iterator[Call]:
        yield from self.again
        yield report, [self.receipt, "--output", "page.html", "--no-digits"]
        if self.is_verified:
            yield receipts, ["verify", self.receipt, "--sample", "0"]


KINDS = {
    "predict": Kind("forms.receipt.json", (PREDICT, FIELDS), is_verified=True),
    "fields": Kind("f.fields.receipt.json", (FIELDS,)),
    "crops": Kind("crops.forms.receipt.json", (CROPS,)),
    "pages": Kind("p.forms.receipt.json", (PAGES,)),
    "reviewed": Kind("forms.reviewed.receipt.json", (APPLY, PREDICT), is_verified=True),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    the_review = made(folder, predicted(folder))
    pen = settle_all(Pen(the_review), lambda cell: truths()[cell.place])
    pen.write(folder / "review")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for main, arguments in (FIELDS, CROPS, PAGES, APPLY):
            assert main(arguments) == 0
    return folder


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each value in a document; of lists those of the first item alone."""
    if place:
        yield place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places_in(inner, (*place, name))
    elif isinstance(value, list) and value:
        yield from places_in(value[0], (*place, 0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_another_value_in_a_receipt_is_no_internal_error(
    kind: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the table for people too, which a terminal gets."""
    folder = shutil.copytree(finished, tmp_path / "work")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    receipt = folder / KINDS[kind].receipt
    facts = json.loads(receipt.read_text())
    wrong = []
    for place in places_in(facts):
        for other in OTHERS:
            changed: Any = copy.deepcopy(facts)
            inner = changed
            for name in place[:-1]:
                inner = inner[name]
            inner[place[-1]] = other
            for main, arguments in KINDS[kind].calls:
                receipt.write_text(json.dumps(changed))
                code = main(arguments)
                if code not in (0, 65, 66, 73, 78):
                    wrong.append((place, other, arguments, code, capsys.readouterr().err[-200:]))
    assert not wrong
