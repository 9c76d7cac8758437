"""What a run writes is planned by name, and refused by name, before any work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from batchdigits.errors import OutputError, UsageError
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.names import InputFiles
from batchdigits.files.targets import Targets, check_targets, make_folder, plan_targets


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inputs(*names: str) -> InputFiles:
    for name in names:
        if not Path(name).exists():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text("x")
    return expand_inputs(names)


def planned(output: str | None, *names: str) -> list[tuple[str, str, str]]:
    return [
        (str(t.predictions), str(t.rejects), str(t.receipt))
        for t in plan_targets(inputs(*names), output)
    ]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("forms.csv", "csv"),
        ("forms.csv.gz", "csv.gz"),
        ("forms.csv.zst", "csv.zst"),
        ("forms.parquet", "parquet"),
        ("forms.tsv", "csv"),
        ("FORMS.CSV", "csv"),
    ],
)
def test_outputs_stand_beside_the_input_in_its_format(name: str, suffix: str) -> None:
    stem = name.partition(".")[0]
    assert planned(None, f"night/{name}") == [
        (
            f"night/{stem}.predictions.{suffix}",
            f"night/{stem}.rejects.{suffix}",
            f"night/{stem}.receipt.json",
        )
    ]


@pytest.mark.parametrize(
    ("output", "rejects", "receipt", "form"),
    [
        ("o/P.csv", "o/P.rejects.csv", "o/P.receipt.json", ("csv", None)),
        ("P.v1.csv.gz", "P.v1.rejects.csv.gz", "P.v1.receipt.json", ("csv", "gz")),
        ("P.CSV.ZST", "P.rejects.CSV.ZST", "P.receipt.json", ("csv", "zst")),
        ("P.parquet", "P.rejects.parquet", "P.receipt.json", ("parquet", None)),
        ("P.predictions.csv", "P.rejects.csv", "P.receipt.json", ("csv", None)),
        ("P.Predictions.CSV", "P.rejects.CSV", "P.receipt.json", ("csv", None)),
        (
            ".predictions.csv",
            ".predictions.rejects.csv",
            ".predictions.receipt.json",
            ("csv", None),
        ),
    ],
)
def test_output_names_the_file_and_its_format(
    output: str, rejects: str, receipt: str, form: tuple[str, str | None]
) -> None:
    (targets,) = plan_targets(inputs("forms.csv"), output)
    assert targets.finals == (Path(output), Path(rejects), Path(receipt))
    assert (targets.kind, targets.compression) == form


@pytest.mark.parametrize("output", ["out/", "present", "out.csv/"])
def test_output_names_a_folder_for_one_input(output: str) -> None:
    Path("present").mkdir()
    folder = output.rstrip("/")
    assert planned(output, "night/forms.csv") == [
        (
            f"{folder}/forms.predictions.csv",
            f"{folder}/forms.rejects.csv",
            f"{folder}/forms.receipt.json",
        )
    ]


def test_several_inputs_go_to_a_folder_that_planning_does_not_create() -> None:
    names = [predictions for predictions, _, _ in planned("new/out", "a.csv", "b.parquet")]
    assert names == ["new/out/a.predictions.csv", "new/out/b.predictions.parquet"]
    assert not Path("new").exists()


def test_a_folder_of_one_file_goes_to_a_folder() -> None:
    inputs("night/a.csv")
    (targets,) = plan_targets(expand_inputs(["night"]), "out")
    assert targets.predictions == Path("out/a.predictions.csv")


@pytest.mark.parametrize("output", ["all.csv", "all.PARQUET", "x/all.csv.gz"])
def test_one_file_for_several_inputs_is_refused(output: str) -> None:
    with pytest.raises(UsageError, match="names one file, but several inputs"):
        planned(output, "a.csv", "b.csv")
    with pytest.raises(UsageError, match="names one file, but several inputs"):
        plan_targets(expand_inputs(["a*"]), output)


@pytest.mark.parametrize("output", ["out.json", "out", "out.tsv", ".csv", "out.parquet.gz", "-"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(output: str) -> None:
    with pytest.raises(UsageError, match=r"ends in one of \.csv \.csv\.gz \.csv\.zst \.parquet"):
        planned(output, "a.csv")


def test_standard_input_needs_a_file_as_output() -> None:
    (targets,) = plan_targets(expand_inputs(["-"]), "out.csv.gz")
    assert targets.predictions == Path("out.csv.gz")
    for output in (None, "folder/", ""):
        with pytest.raises(UsageError):
            plan_targets(expand_inputs(["-"]), output)


@pytest.mark.parametrize(
    ("output", "one", "other", "name"),
    [
        (None, "forms.csv", "forms.parquet", "forms.receipt.json"),
        (None, "forms.csv", "forms.tsv", "forms.predictions.csv"),
        ("out", "a/forms.csv", "b/forms.csv", "out/forms.predictions.csv"),
    ],
)
def test_two_inputs_that_would_write_one_name_are_both_named(
    output: str | None, one: str, other: str, name: str
) -> None:
    with pytest.raises(UsageError, match=f"{one} and {other} would both write {name}"):
        planned(output, one, other)


def test_one_folder_under_two_names_is_one_folder() -> None:
    inputs("a/forms.csv", "a/forms.parquet")
    Path("b").symlink_to("a")
    with pytest.raises(UsageError, match="would both write"):
        plan_targets(expand_inputs(["a/forms.csv", "b/forms.parquet"]), None)


@pytest.mark.parametrize("output", ["in.csv", "./in.csv", "sub/../in.csv", "soft.csv", "hard.csv"])
def test_an_input_is_never_an_output(output: str) -> None:
    input_files = inputs("in.csv", "sub/x.csv").inputs[:1]
    Path("soft.csv").symlink_to("in.csv")
    os.link("in.csv", "hard.csv")
    with pytest.raises(UsageError, match=r"in\.csv: is an input, and .* would overwrite it"):
        plan_targets(InputFiles(input_files, several=False), output)


@pytest.mark.parametrize(
    "name", ["P.rejects.csv", ".P.csv.tmp", ".P.receipt.json.commit", ".P.receipt.json.lock"]
)
def test_an_input_is_never_one_of_the_other_names_a_run_writes(name: str) -> None:
    with pytest.raises(UsageError, match="would overwrite it"):
        planned("P.csv", name)


def test_the_inputs_are_kept_once_for_all_targets() -> None:
    """A set for each of 10,000 files of one run took 5 GB and five seconds."""
    one, other = plan_targets(inputs("a.csv", "b.csv"), None)
    assert one.inputs is other.inputs
    assert len(one.inputs) == 2


def test_an_input_is_never_the_output_of_another_one() -> None:
    """The one that would overwrite it is refused alone."""
    refused, other = plan_targets(inputs("a.csv", "a.predictions.csv"), None)
    with pytest.raises(UsageError, match=r"a\.predictions\.csv: is an input"):
        check_targets(refused)
    check_targets(other)


@pytest.mark.parametrize(
    "names",
    [("a/x.csv", "b/x.csv"), ("a/x.csv", "b/x.parquet", "c/x.csv.gz"), ("x.csv", "./x.csv")],
)
def test_inputs_that_would_write_one_name_are_refused_without_the_others(
    names: tuple[str, ...],
) -> None:
    inputs(*names, "other.csv")
    found = expand_inputs([*names, "other.csv"])
    *refused, other = plan_targets(found, "out/")
    for targets in refused:
        with pytest.raises(UsageError, match=r"x\.csv and .* would both|x\.csv, .* would all"):
            check_targets(targets)
    check_targets(other)


NAMED = ("o/x.csv", "o/x.predictions.csv", "o/x.predictions.predictions.csv", "o/x.y.csv")
INTO = ("x.csv", "x.tsv", "x.parquet", "x.predictions.csv", "x.rejects.csv", "x.csv.gz", "x.y.csv")


def test_one_name_has_one_receipt_whatever_run_writes_it() -> None:
    """The lock is the receipt's: two runs that write one file hold the same."""
    runs = [plan_targets(inputs("other/in.csv"), output) for output in NAMED]
    runs += [plan_targets(inputs(f"in/{name}"), "o/") for name in INTO]
    receipts: dict[Path, set[Path]] = {}
    for (planned_targets,) in runs:
        for path in planned_targets.finals:
            receipts.setdefault(path, set()).add(planned_targets.receipt)
    assert {path: found for path, found in receipts.items() if len(found) > 1} == {}
    assert len(receipts) == 18


@pytest.mark.parametrize("output", ["x.rejects.csv", "o/x.REJECTS.parquet", ".rejects.csv.gz"])
def test_the_name_of_rejects_is_for_rejects(output: str) -> None:
    with pytest.raises(UsageError, match=r"a name that ends in \.rejects is for the rejects"):
        planned(output, "a.csv")


def test_standard_input_is_never_the_output() -> None:
    Path("in.csv").write_text("x")
    code = (
        "from batchdigits.files.inputs import expand_inputs\n"
        "from batchdigits.files.targets import plan_targets\n"
        "try: plan_targets(expand_inputs(['-']), 'in.csv')\n"
        "except Exception as error: print(error)"
    )
    with Path("in.csv").open() as stdin:
        told = subprocess.run(
            [sys.executable, "-c", code],
            stdin=stdin,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
            check=True,
        )
    assert told.stdout.startswith("-: is an input, and in.csv would overwrite it")


def targets(predictions: str = "out/P.csv") -> Targets:
    path = Path(predictions)
    return Targets(path, path.with_name("P.rejects.csv"), path.with_name("P.receipt.json"), "csv")


def test_plain_names_in_a_folder_present_or_to_be_made_pass() -> None:
    check_targets(targets("new/deep/P.csv"))
    assert not Path("new").exists()
    make_folder(targets("new/deep/P.csv"))
    make_folder(targets("new/deep/P.csv"))
    Path("new/deep/P.csv").write_text("an older output")
    check_targets(targets("new/deep/P.csv"))


@pytest.mark.parametrize(
    "name",
    [
        *("P.csv", "P.rejects.csv", "P.receipt.json", ".P.csv.tmp"),
        *(".P.receipt.json.tmp", ".P.receipt.json.commit", ".P.receipt.json.lock"),
    ],
)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.symlink_to("elsewhere"), "is a link"),
        (lambda path: path.symlink_to("/dev/full"), "is a link"),
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is a pipe, socket or device"),
    ],
)
def test_what_is_no_plain_file_is_refused(name: str, make, what: str) -> None:
    Path("out").mkdir()
    make(Path("out", name))
    with pytest.raises(OutputError, match=f"{name} {what}"):
        check_targets(targets())


def test_all_that_is_wrong_is_told_in_one_line() -> None:
    Path("out").mkdir()
    Path("out/P.csv").mkdir()
    Path("out/P.rejects.csv").symlink_to("x")
    with pytest.raises(OutputError, match=r"P\.csv is a folder, P\.rejects\.csv is a link; choose"):
        check_targets(targets())


def test_a_folder_that_cannot_be_one_is_refused() -> None:
    Path("out").write_text("a file")
    for name in ("out/P.csv", "out/deeper/P.csv"):
        with pytest.raises(OutputError, match="can't be created: out is not a folder"):
            check_targets(targets(name))
    Path("dangling").symlink_to("nowhere")
    with pytest.raises(OutputError, match="can't be created: dangling is not a folder"):
        check_targets(targets("dangling/P.csv"))


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    """/proc is read-only for everybody, root too."""
    with pytest.raises(OutputError, match="is not writable"):
        check_targets(targets("/proc/sys/P.csv"))


def test_a_name_too_long_for_its_temporaries_is_refused_before_any_work() -> None:
    with pytest.raises(OutputError, match="File name too long"):
        check_targets(targets("P" * 248 + ".csv"))


def test_targets_know_every_input_of_the_run_under_any_name() -> None:
    (first, second) = plan_targets(inputs("a.csv", "b.csv"), None)
    os.link("b.csv", "hard.csv")
    Path("other.csv").write_text("x")
    for planned_targets in (first, second):
        read = [n for n in ("a.csv", "hard.csv", "other.csv") if planned_targets.reads(Path(n))]
        assert read == ["a.csv", "hard.csv"]


def test_outputs_of_a_folder_mirror_its_tree_under_output() -> None:
    """Two files of one stem in different folders do not collide."""
    inputs("in/day=1/a.csv", "in/day=2/a.csv", "in/day=2/a.csv.gz", "in/a.csv")
    receipts = [str(t.receipt) for t in plan_targets(expand_inputs(["in"]), "out")]
    assert receipts == [
        "out/a.receipt.json",
        "out/day=1/a.receipt.json",
        "out/day=2/a.receipt.json",
        "out/day=2/a.receipt.json",
    ]
    problems = [t.problem for t in plan_targets(expand_inputs(["in"]), "out")]
    assert problems[:2] == ["", ""]
    assert "in/day=2/a.csv and in/day=2/a.csv.gz would both write" in problems[2]
    beside = [str(t.receipt) for t in plan_targets(expand_inputs(["in/*/a.csv"]), None)]
    assert beside == ["in/day=1/a.receipt.json", "in/day=2/a.receipt.json"]


@pytest.mark.parametrize(
    ("name", "kind", "suffix"),
    [
        ("a.csv", "parquet", "parquet"),
        ("a.csv.gz", "parquet", "parquet"),
        ("a.csv.gz", "csv", "csv.gz"),
        ("a.parquet", "csv", "csv"),
        ("a.parquet", "parquet", "parquet"),
    ],
)
def test_format_is_that_of_outputs_in_a_folder(name: str, kind: str, suffix: str) -> None:
    for output, folder in (("out/", "out"), (None, "in")):
        (targets,) = plan_targets(inputs(f"in/{name}"), output, kind)
        assert str(targets.predictions) == f"{folder}/a.predictions.{suffix}"
        assert str(targets.receipt) == f"{folder}/a.receipt.json"
        assert targets.kind == kind


def test_the_name_of_an_output_file_and_format_may_not_differ() -> None:
    (targets,) = plan_targets(inputs("a.csv"), "x.parquet", "parquet")
    assert targets.kind == "parquet"
    with pytest.raises(UsageError, match="--output x.parquet and --format csv: a file's name"):
        plan_targets(inputs("a.csv"), "x.parquet", "csv")
    with pytest.raises(UsageError, match="--format 'orc': expected csv or parquet"):
        plan_targets(inputs("a.csv"), None, "orc")
