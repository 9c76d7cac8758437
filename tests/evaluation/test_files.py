"""Several labelled files through the bundle in the package."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits.archive.bundle_file import build_bundle
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation import labels
from batchdigits.evaluation.files import Evaluation, evaluate_files
from batchdigits.evaluation.options import LabelledOptions
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import expand_inputs
from batchdigits.store.choice import BundleChoice

LINES = (SAMPLE_DATA / "digits.csv").read_text(encoding="utf-8").splitlines(keepends=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty labelled rows as CSV, the next thirty compressed."""
    (tmp_path / "a.csv").write_text("".join(LINES[:21]), encoding="utf-8")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress("".join([LINES[0], *LINES[21:51]]).encode()))
    return tmp_path


def evaluate(*arguments: str | Path, bundle: Path | None = None, **options: Any) -> Evaluation:
    input_files = expand_inputs([str(argument) for argument in arguments]).inputs
    return evaluate_files(input_files, LabelledOptions(**options), BundleChoice(bundle))


def test_the_counts_of_the_files_add_up(folder: Path) -> None:
    evaluation = evaluate(folder)
    assert [tally.tally.counts.rows_in for tally in evaluation.inputs] == [20, 30]
    assert (evaluation.total.counts.rows_in, evaluation.total.labelled) == (50, 50)
    assert evaluation.matrix.rows == 50
    assert (evaluation.label, evaluation.by, evaluation.groups) == ("label", (), ())


def test_an_input_file_is_opened_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    open_source: Callable[..., Any] = labels.open_source

    def counting(input_file: Any, *others: Any) -> Any:
        names.append(input_file.path.name)
        return open_source(input_file, *others)

    monkeypatch.setattr(labels, "open_source", counting)
    evaluate(folder)
    assert names == ["a.csv", "b.csv.gz"]


@pytest.mark.parametrize("name", ["a.csv", "b.csv.gz"])
def test_a_file_that_was_trained_on_is_known_by_its_stored_bytes(folder: Path, name: str) -> None:
    file = batchdigits.open_bundle().file
    members = {key: data for key, data in file.members.items() if key != "manifest.json"}
    data = {**file.manifest.data, "digest": digest_file(folder / name)}
    bundle = folder / "own.bundle"
    bundle.write_bytes(build_bundle(replace(file.manifest, data=data), members))
    inputs = evaluate(folder, bundle=bundle).inputs
    assert {Path(tally.name).name for tally in inputs if tally.trained_on} == {name}


def test_a_refused_file_refuses_all(folder: Path) -> None:
    """Even after the files before it were scored."""
    (folder / "c.csv").write_text("".join(LINES[:3]).replace("label", "digit"), encoding="utf-8")
    with pytest.raises(UnusableInputError, match=r"c\.csv: no column 'label' with labels"):
        evaluate(folder)


def test_a_file_without_rows_is_no_fault_among_others(folder: Path) -> None:
    """Alone it is refused."""
    (folder / "c.csv").write_text(LINES[0], encoding="utf-8")
    assert evaluate(folder).total.counts.rows_in == 50
    with pytest.raises(UnusableInputError, match="none of its 0 rows can be scored"):
        evaluate(folder / "c.csv")


def test_a_file_that_is_named_twice_is_refused(folder: Path) -> None:
    """Whatever its names."""
    (folder / "d.csv").hardlink_to(folder / "a.csv")
    with pytest.raises(UsageError, match="is the same file as .*name it once"):
        evaluate(folder)


def test_the_rows_done_are_reported_with_the_name_of_their_file(folder: Path) -> None:
    calls: list[tuple[int, float | None, str]] = []
    input_files = expand_inputs([str(folder)]).inputs
    evaluate_files(
        input_files, LabelledOptions(), BundleChoice(), on_progress=lambda *call: calls.append(call)
    )
    assert [(rows, Path(name).name) for rows, _, name in calls] == [(20, "a.csv"), (30, "b.csv.gz")]
