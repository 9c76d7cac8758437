"""`evaluate` on real files through the bundle in the package, against scikit-learn's figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from paths import DIGITS_2_BUNDLE, ROOT, SAMPLE_DATA

import batchdigits
from batchdigits.archive.bundle_file import build_bundle
from batchdigits.archive.thresholds import Thresholds
from batchdigits.evaluate import main
from batchdigits.evaluation import groups
from batchdigits.files.digest import digest_file

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder; gives exit code, JSON and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
        code = main(arguments)
        captured = capsys.readouterr()
        assert captured.out.count("\n") == (code in (0, 3))
        return code, json.loads(captured.out or "{}"), captured.err

    return run


def shaken(rows: int = 600) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Digits with so much noise that one in ten is taken for another."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, rows)
    pixels = np.column_stack([table[f"pixel_{i}"] for i in range(64)]).astype(float)
    noise = np.random.default_rng(3).normal(0, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 16).astype(np.uint8), table["label"].to_numpy()


def write(path: Path, pixels: NDArray[np.uint8], **columns: Any) -> Path:
    named = {f"pixel_{i}": pa.array(column) for i, column in enumerate(pixels.T)}
    pq.write_table(pa.table({**columns, **named}), path)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Noisy digits: 40 forms, some of them without a name, and three writers."""
    pixels, labels = shaken()
    forms = [None if i // 15 == 7 else f"{i // 15:03}" for i in range(len(labels))]
    writers = np.arange(len(labels)) % 3
    return write(tmp_path / "rows.parquet", pixels, label=labels, form=forms, writer=writers)


def probabilities_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    scored = batchdigits.open_bundle().predict(pixels, probabilities=True)
    return np.column_stack([scored[f"proba_{digit}"].to_numpy() for digit in range(10)])


def test_figures_are_those_of_scikit_learn(run: Run, rows: Path) -> None:
    from scipy.stats import binomtest
    from sklearn import metrics

    pixels, labels = shaken()
    probabilities = probabilities_of(pixels)
    predicted = probabilities.argmax(axis=1)
    code, figures, _ = run(str(rows))
    assert (code, figures["rows_labelled"]) == (0, len(labels))
    right = int((predicted == labels).sum())
    interval = binomtest(right, len(labels)).proportion_ci(method="wilson")
    scaled = (probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    expected = {
        "rows_right": right,
        "accuracy": metrics.accuracy_score(labels, predicted),
        "accuracy_low": interval.low,
        "accuracy_high": interval.high,
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "cohen_kappa": metrics.cohen_kappa_score(labels, predicted),
        "matthews": metrics.matthews_corrcoef(labels, predicted),
        "log_loss": metrics.log_loss(labels, scaled),
        "brier_score": ((probabilities - np.eye(10)[labels]) ** 2).sum(axis=1).mean(),
    }
    assert 0.7 < expected["accuracy"] < 0.98
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert figures["confusion_matrix"] == metrics.confusion_matrix(labels, predicted).tolist()
    report = metrics.classification_report(labels, predicted, output_dict=True)
    for score in figures["classes"]:
        wanted = report[str(score["label"])]
        assert (score["precision"], score["recall"]) == (wanted["precision"], wanted["recall"])
        assert (score["f1"], score["support"]) == (
            pytest.approx(wanted["f1-score"]),
            wanted["support"],
        )
    matrix = np.array(figures["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    (first, *_) = figures["confused"]
    assert first["rows"] == matrix.max() == matrix[first["label"], first["prediction"]]


def test_confidence_is_counted_by_bin_and_by_threshold(run: Run, rows: Path) -> None:
    pixels, labels = shaken()
    probabilities = probabilities_of(pixels)
    confidence, is_right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    figures = run(str(rows))[1]
    bins = [
        (each["low"] < confidence) & (confidence <= each["high"]) for each in figures["reliability"]
    ]
    assert sum(each["rows"] for each in figures["reliability"]) == len(labels)
    gap = 0.0
    for each, chosen in zip(figures["reliability"], bins, strict=True):
        assert each["rows"] == chosen.sum()
        assert each["accuracy"] == pytest.approx(is_right[chosen].mean())
        assert each["confidence"] == pytest.approx(confidence[chosen].mean())
        gap += abs(confidence[chosen].sum() - is_right[chosen].sum()) / len(labels)
    assert figures["calibration_error"] == pytest.approx(gap)
    for point in figures["coverage"]:
        accepted = confidence >= np.float32(point["confidence"])
        assert (point["rows"], point["errors"]) == (
            accepted.sum(),
            (accepted & ~is_right).sum(),
        )
        assert point["coverage"] == accepted.mean()


def test_groups_are_counted_and_the_worst_come_first(run: Run, rows: Path) -> None:
    pixels, labels = shaken()
    is_right = probabilities_of(pixels).argmax(axis=1) == labels
    code, figures, err = run(str(rows), "--by", "form", "--groups", "40")
    assert (code, figures["by"], figures["group_count"]) == (0, ["form"], 40)
    by_form = {group["group"]["form"]: group for group in figures["groups"]}
    assert by_form[None]["errors"] == 15 - is_right[105:120].sum()
    assert by_form["003"]["errors"] == 15 - is_right[45:60].sum()
    highs = [group["accuracy_high"] for group in figures["groups"]]
    assert highs == sorted(highs)
    assert (
        sum(group["errors"] for group in figures["groups"]) == len(labels) - figures["rows_right"]
    )
    assert "worst groups first" in err

    figures = run(str(rows), "--by", "form,writer", "--groups", "2")[1]
    assert (figures["group_count"], len(figures["groups"])) == (120, 2)
    assert set(figures["groups"][0]["group"]) == {"form", "writer"}


@pytest.mark.parametrize(
    "kind",
    [
        *(pa.string_view(), pa.large_string(), pa.timestamp("ns"), pa.timestamp("ms", "UTC")),
        *(pa.time64("ns"), pa.duration("ns"), pa.date32(), pa.decimal128(30, 9), pa.float32()),
    ],
    ids=str,
)
def test_values_of_every_type_make_groups(run: Run, kind: pa.DataType) -> None:
    pixels, labels = shaken(90)
    values = [None if i % 3 == 0 else i % 3 for i in range(90)]
    column = pa.array(values, pa.int32() if pa.types.is_date32(kind) else pa.int64())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        column = column.cast(pa.string())
    write(Path("rows.parquet"), pixels, label=labels, key=column.cast(kind))
    code, figures, err = run("rows.parquet", "--by", "key")
    assert (code, figures["group_count"]) == (0, 3), err
    assert {group["rows"] for group in figures["groups"]} == {30}
    assert sum(group["group"]["key"] is None for group in figures["groups"]) == 1


def test_more_groups_than_memory_should_hold_are_refused(
    run: Run, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MAX_GROUPS", 39)
    code, _, err = run(str(rows), "--by", "form")
    assert (code, "--by form: more than 39 groups; name columns that" in err) == (2, True)


def test_how_rows_are_cut_changes_nothing(run: Run, rows: Path, tmp_path: Path) -> None:
    """One file, the same in small row groups, and in three files of both formats."""
    table = pq.read_table(rows)
    (tmp_path / "cut").mkdir()
    pq.write_table(table.slice(0, 100), "cut/a.parquet", row_group_size=7)
    lines = [",".join(table.schema.names)]
    lines += [
        ",".join("" if cell is None else str(cell) for cell in row.values())
        for row in table.slice(100, 300).to_pylist()
    ]
    (tmp_path / "cut" / "b.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pq.write_table(table.slice(400), "cut/c.parquet")
    whole = run(str(rows), "--by", "writer")[1]
    cut = run("cut", "--by", "writer")[1]
    assert [tally["rows_in"] for tally in cut.pop("inputs")] == [100, 300, 200]
    for figures in (whole, cut):
        # In CSV a writer's number is text.
        figures["groups"] = None
        for name in ("inputs", "seconds", "group_count"):
            figures.pop(name, None)
    flat, expected = list(_numbers(cut)), list(_numbers(whole))
    assert flat == pytest.approx(expected)
    assert cut.keys() == whole.keys()


def _numbers(value: Any) -> Any:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def test_rejects_are_counted_and_reported(run: Run) -> None:
    """The bad sample: 20 of 36 rows can be scored."""
    bad = str(SAMPLE_DATA / "bad.csv")
    code, figures, err = run(bad)
    assert (code, figures["rows_in"], figures["rows_rejected"]) == (3, 36, 16)
    assert (
        figures["rows_labelled"]
        == figures["rows_predicted"]
        == sum(score["support"] for score in figures["classes"])
    )
    assert figures["reasons"]["missing"] == 2
    assert "16 rows rejected: 1 bad-encoding, 1 blank-line" in err
    assert "error: 16 of 36 rows were rejected, more than --max-rejects" in err
    code, figures, err = run(bad, "--max-rejects", "50%")
    assert (code, figures["exit_code"], "error" in err.splitlines()[-1]) == (0, 0, False)


def test_odd_labels_are_wrong_or_left_out(run: Run, rows: Path) -> None:
    """No class of the bundle: wrong. None at all: not counted."""
    table = pq.read_table(rows)
    labels = ["x", None, "NA", *map(str, table["label"].to_pylist()[3:])]
    at = table.schema.names.index("label")
    pq.write_table(table.set_column(at, "label", pa.array(labels)), "odd.parquet")
    figures, err = run("odd.parquet")[1:]
    counts = [figures[f"rows_{name}"] for name in ("labelled", "unlabelled", "of_unknown_class")]
    assert counts == [598, 2, 1]
    assert sum(map(sum, figures["confusion_matrix"])) == 597
    assert "2 rows without a label, not counted" in err
    assert "1 label not among the classes of the bundle, counted as wrong" in err


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--label", ""], 65, "no column '' with labels; the columns besides the pixels"),
        (["--label", "digit"], 65, "no column 'digit' with labels; the columns besides the pixels"),
        (["--by", "sheet"], 65, "no column 'sheet' to group by; the columns besides the pixels"),
        (["--label", "form"], 65, "no label in column 'form' is a class of the bundle"),
        (["--by", "boxes"], 2, "--by boxes: rows.parquet holds fixed_size_list"),
        (["--by", "form,form"], 2, "names a column more than once"),
        (["--groups", "-1"], 2, "--groups -1: expected 0 or more groups"),
        (["--review-below", "95"], 2, "--review-below 95: expected a confidence in 0..1"),
        (["--output", "figures.csv"], 2, "expected a file name that ends in .json"),
        (["--output", "none/figures.json"], 73, "there is no folder none"),
        (["--output", "there.json"], 73, "there.json: exists; give --overwrite"),
        (["rows.parquet"], 2, "rows.parquet: is the same file as rows.parquet; name it once"),
        (["link.parquet"], 2, "link.parquet: is the same file as rows.parquet; name it once"),
        (["others.parquet"], 65, "others.parquet: no label in column 'label' is a class of the"),
        (["missing.csv"], 66, "missing.csv: no such file"),
        (["--max-rejects", "some"], 2, "expected a count such as 5, or a share such as 0.5%"),
    ],
)
def test_what_can_not_be_evaluated_is_refused_in_one_line(
    run: Run, rows: Path, flags: list[str], code: int, message: str
) -> None:
    table = pq.read_table(rows)
    boxes = pa.FixedSizeListArray.from_arrays(pa.array([1] * 1200), 2)
    pq.write_table(table.append_column("boxes", boxes), rows)
    Path("there.json").write_text("mine", encoding="utf-8")
    Path("link.parquet").symlink_to("rows.parquet")
    names = table.schema.get_field_index("label"), "label", pa.array(["ten"] * len(table))
    pq.write_table(table.set_column(*names), "others.parquet")
    figures, _, err = run("rows.parquet", *flags)
    assert (figures, message in err, err.count("\n")) == (code, True, 1), err
    assert Path("there.json").read_text(encoding="utf-8") == "mine"


def test_standard_input_is_refused(run: Run) -> None:
    code, _, err = run("-")
    assert (code, "standard input can't be evaluated" in err) == (2, True)


def test_the_json_goes_to_a_file_too(run: Run, rows: Path) -> None:
    code, figures, _ = run(str(rows), "--output", "figures.json")
    assert (code, json.loads(Path("figures.json").read_text(encoding="utf-8"))) == (0, figures)
    assert run(str(rows), "--output", "figures.json")[0] == 73
    code, figures, _ = run(str(rows), "--output", "figures.json", "--overwrite", "--groups", "1")
    assert (code, json.loads(Path("figures.json").read_text(encoding="utf-8"))) == (0, figures)
    Path("input.json").write_bytes(rows.read_bytes())
    code, _, err = run("input.json", "--output", "input.json", "--overwrite")
    assert (code, "is an input" in err) == (2, True)


def test_inverted_rows_are_measured_and_reported(run: Run, tmp_path: Path) -> None:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = 16 - np.column_stack([table[f"pixel_{i}"] for i in range(64)])
    write(tmp_path / "inverted.parquet", pixels.astype(np.uint8), label=table["label"])
    code, figures, err = run("inverted.parquet")
    assert (code, figures["accuracy"] < 0.5) == (0, True)
    assert "invert" in figures["inputs"][0]["suspicion"]
    assert figures["inputs"][0]["suspicion"] in err


def bundle_with(path: Path, **facts: Any) -> Path:
    """The bundle in the package with other facts in its manifest."""
    file = batchdigits.open_bundle().file
    members = {name: data for name, data in file.members.items() if name != "manifest.json"}
    path.write_bytes(build_bundle(replace(file.manifest, **facts), members))
    return path


def test_thresholds_leave_what_predict_accepts(run: Run, rows: Path, tmp_path: Path) -> None:
    """Those of the bundle, its rules among them; or a confidence that is given."""
    pixels, labels = shaken()
    probabilities = probabilities_of(pixels)
    confidence, is_wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != labels
    by_ink = run(str(rows), "--bundle", str(DIGITS_2_BUNDLE))[1]["decision"]
    assert (by_ink["review_below"], by_ink["rows"], by_ink["causes"]) == (None, 600, {})

    figures, err = run(str(rows), "--review-below", "0.9")[1:]
    is_accepted = confidence >= np.float32(0.9)
    errors = int((is_accepted & is_wrong).sum())
    decision = figures["decision"]
    assert (decision["rows"], decision["errors"]) == (is_accepted.sum(), errors)
    assert decision["error_low"] < decision["error"] < decision["error_high"]
    assert decision["causes"] == {"low-confidence": (~is_accepted).sum()}
    assert f"{is_accepted.sum()} of 600 rows accepted, {errors} of them wrong" in err

    facts = {"review_below": 0.7, "least_ink": 350, "max_error": 0.01}
    bundle = bundle_with(tmp_path / "own.bundle", thresholds=Thresholds.parse(facts))
    figures, err = run(str(rows), "--bundle", str(bundle))[1:]
    decision = figures["decision"]
    assert (decision["max_error"], "promises at most 1.000%" in err) == (0.01, True)
    has_ink = pixels.sum(axis=1, dtype=int) >= 350
    assert decision["review_below"] == 0.7
    assert decision["rows"] == (has_ink & (confidence >= np.float32(0.7))).sum()
    assert decision["causes"]["little-ink"] == (~has_ink).sum() > 0
    with pytest.warns(batchdigits.BatchdigitsWarning, match="are odd"):
        scored = batchdigits.open_bundle(bundle).predict(pixels)
    assert decision["rows"] == scored["decision"].to_pylist().count("accept")


def test_the_file_that_was_trained_on_is_known(run: Run, rows: Path, tmp_path: Path) -> None:
    data = {**batchdigits.open_bundle().manifest.data, "digest": digest_file(rows)}
    bundle = bundle_with(tmp_path / "own.bundle", data=data)
    figures, err = run(str(rows), "--bundle", str(bundle))[1:]
    assert figures["inputs"][0]["trained_on"] is True
    assert "rows.parquet: the bundle was trained on this very file" in err
    assert run(str(rows))[1]["inputs"][0]["trained_on"] is False


def test_nothing_heavy_is_imported(rows: Path) -> None:
    """A base installation can evaluate; `--help` and wrong usage wait for nothing at all."""
    script = f"""
import sys
from batchdigits.evaluate import main
try:
    main(["--help"])
except SystemExit:
    pass
light = {{"numpy", "pyarrow", "onnxruntime", "logging"}} & set(sys.modules)
assert main([{str(rows)!r}, "--delimiter", "xx"]) == main([{str(rows)!r}, "--by", "a,a"]) == 2
light |= {{"numpy", "pyarrow", "onnxruntime"}} & set(sys.modules)
assert main([{str(rows)!r}, "--by", "form"]) == 0
heavy = {{"pandas", "sklearn", "scipy", "keras", "tensorflow", "joblib", "onnx"}}
print(sorted(light), sorted(name for name in heavy if sys.modules.get(name)))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] == "[] []"
