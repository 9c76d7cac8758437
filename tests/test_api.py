"""The Python interface uses the same bundles and the same scoring function as the commands."""

import json
import pydoc
import re
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits import api, predict
from batchdigits.errors import (
    BatchdigitsError,
    BundleError,
    NoInputError,
    UnusableInputError,
    UsageError,
)
from batchdigits.evaluate import main
from batchdigits.scoring.receipt import Receipt


@pytest.fixture(scope="module")
def bundle() -> batchdigits.Bundle:
    return batchdigits.open_bundle()


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 100)


def pixels_of(table: pa.Table) -> np.ndarray:  # type: ignore[type-arg]
    return np.column_stack([table[f"pixel_{i}"] for i in range(64)])


def test_every_kind_of_rows_gets_the_same_predictions(
    bundle: batchdigits.Bundle, table: pa.Table
) -> None:
    pixels = pixels_of(table)
    expected = bundle.predict(table).select(["prediction", "confidence"])
    assert np.mean(np.array(expected["prediction"]) == np.array(table["label"])) > 0.95
    for rows in (
        pixels.astype(np.uint8),
        pixels.astype(np.float64),
        np.asfortranarray(pixels),
        table.to_batches()[0],
    ):
        assert bundle.predict(rows).select(["prediction", "confidence"]).equals(expected)
    frame = bundle.predict(table.to_pandas())
    assert frame["prediction"].tolist() == expected["prediction"].to_pylist()
    assert frame["confidence"].tolist() == expected["confidence"].to_pylist()


@pytest.mark.parametrize("index", ["text", "multi", "repeated"])
def test_a_data_frame_comes_back_as_one_with_its_index(
    bundle: batchdigits.Bundle, table: pa.Table, index: str
) -> None:
    frame = table.slice(0, 6).to_pandas()
    frame.index = {
        "text": pd.Index([f"r{row}" for row in range(6)], name="key"),
        "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2, 3]]),
        "repeated": pd.Index([7, 7, 7, 1, 1, 0]),
    }[index]
    result = bundle.predict(frame)
    assert isinstance(result, pd.DataFrame)
    assert result.index.equals(frame.index)
    assert list(result.columns[-4:]) == ["prediction", "confidence", "decision", "cause"]
    assert result["decision"].tolist() == ["accept"] * 6
    assert not isinstance(result["decision"].dtype, pd.CategoricalDtype)
    assert bundle.predict(frame.iloc[:0]).index.equals(frame.index[:0])


def test_bundle_summary_and_receipt_show_themselves_as_tables(
    bundle: batchdigits.Bundle, table: pa.Table, tmp_path: Path
) -> None:
    source = tmp_path / "<i>forms.parquet"
    pq.write_table(table, source)
    summary = batchdigits.score(source)
    receipt = Receipt.read(Path(str(summary.inputs[0].receipt)))
    shown = [each._repr_html_() for each in (bundle, summary, receipt)]
    for text in shown:
        ET.fromstring(text)  # noqa: S314  # our own text
    assert "digits@3" in shown[0]
    assert "<td>100</td>" in shown[1]
    assert "&lt;i&gt;forms.parquet" in shown[1]
    assert "&lt;i&gt;forms.parquet" in shown[2]


def test_other_columns_come_back_in_order(bundle: batchdigits.Bundle, table: pa.Table) -> None:
    result = bundle.predict(table, probabilities=True)
    assert result.column_names[:6] == [
        *("form_id", "field", "position", "label", "prediction", "confidence")
    ]
    assert result["form_id"].equals(table["form_id"])
    total = sum(np.array(result[f"proba_{digit}"]) for digit in range(10))
    assert np.allclose(total, 1, atol=1e-5)


def test_no_rows_give_an_empty_table(bundle: batchdigits.Bundle, table: pa.Table) -> None:
    result = bundle.predict(table.slice(0, 0))
    assert (result.num_rows, result.column_names[4:6]) == (0, ["prediction", "confidence"])


def test_rows_that_cannot_be_scored_are_named_not_dropped(bundle: batchdigits.Bundle) -> None:
    rows = np.zeros((50, 64))
    rows[7, 3], rows[20, 0] = np.nan, 17
    with pytest.raises(UnusableInputError, match="2 rows can't be scored.*row 7 is not-finite.*20"):
        bundle.predict(rows)
    with pytest.raises(UnusableInputError, match="^1 row can't be scored"):
        bundle.predict(rows[:8])


@pytest.mark.parametrize("rows", [np.zeros((3, 63)), np.zeros(64), np.zeros((2, 8, 8)), [[1] * 64]])
def test_rows_of_another_shape_or_kind_are_usage_errors(
    bundle: batchdigits.Bundle, rows: object
) -> None:
    with pytest.raises(UsageError, match="expected"):
        bundle.predict(rows)  # type: ignore[arg-type]


def test_a_bundle_has_a_name_a_digest_and_classes(bundle: batchdigits.Bundle) -> None:
    assert bundle.manifest.name == "digits"
    assert bundle.digest.startswith("sha256:")
    assert bundle.classes.to_pylist() == list(range(10))


def test_the_keras_engine_is_the_reference_and_agrees(table: pa.Table) -> None:
    """The fitted scaler, Keras model and binarizer give the same results as the ONNX graph."""
    reference = batchdigits.open_bundle(engine="keras").predict(table, probabilities=True)
    compiled = batchdigits.open_bundle().predict(table, probabilities=True)
    assert reference["prediction"].equals(compiled["prediction"])
    for digit in range(10):
        ours, theirs = (np.array(t[f"proba_{digit}"]) for t in (compiled, reference))
        assert np.abs(ours - theirs).max() <= 1e-5


def test_score_does_what_the_predict_command_does(tmp_path: Path) -> None:
    progress: list[tuple[int, float | None, str]] = []
    summary = batchdigits.score(
        SAMPLE_DATA / "digits.parquet",
        output=tmp_path / "out.parquet",
        on_progress=lambda *arguments: progress.append(arguments),
    )
    assert (summary.exit_code, summary.rows_predicted) == (0, 1797)
    assert progress[-1] == (1797, 1.0, str(SAMPLE_DATA / "digits.parquet"))
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 1797


def test_errors_that_concern_the_whole_run_are_raised(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no bundle named 'nobody'"):
        batchdigits.score(
            SAMPLE_DATA / "digits.parquet", bundle="nobody", output=tmp_path / "o.parquet"
        )
    with pytest.raises(NoInputError, match="no input among its 0 files"):
        batchdigits.score(tmp_path)


@pytest.mark.parametrize(
    ("name", "confidence"), [("digits-format-1.bundle", 1612.46), ("digits-2.bundle", 1795.888)]
)
def test_bundles_of_earlier_recipes_still_score_as_they_did(name: str, confidence: float) -> None:
    """The tests keep a bundle of each; the confidence is the sum over all rows."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    earlier = batchdigits.open_bundle(Path(__file__).parent / "data" / name)
    assert earlier.manifest.format == 1
    predicted = earlier.predict(table)
    assert predicted["prediction"].cast(pa.int64()).to_pylist() == table["label"].to_pylist()
    assert np.sum(predicted["confidence"].to_numpy(), dtype=float) == pytest.approx(
        confidence, abs=0.01
    )


@pytest.mark.parametrize("dtype", [">f8", ">i4", np.longdouble, np.int16, np.float16])
def test_any_real_dtype_is_taken(bundle: batchdigits.Bundle, table: pa.Table, dtype: str) -> None:
    pixels = pixels_of(table)
    expected = bundle.predict(pixels.astype(np.uint8))
    assert bundle.predict(pixels.astype(dtype)).equals(expected)


def test_a_masked_array_is_refused(bundle: batchdigits.Bundle, table: pa.Table) -> None:
    with pytest.raises(UsageError, match="masked"):
        bundle.predict(np.ma.masked_equal(pixels_of(table), 0))


def test_a_text_is_refused_as_a_list_of_columns(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a list of column names"):
        batchdigits.score(SAMPLE_DATA / "digits.csv", output=tmp_path / "o.csv", keep="id")


def test_rejects_of_every_batch_are_counted(bundle: batchdigits.Bundle) -> None:
    with pytest.raises(UnusableInputError, match="40000 rows can't be scored.*row 19 .*39980 more"):
        bundle.predict(np.full((40_000, 64), 99.0))


def test_a_column_can_be_kept_only_once(tmp_path: Path) -> None:
    """The output would have two columns of one name, which we refuse to read."""
    with pytest.raises(UsageError, match="^keep names 'id' more than once"):
        batchdigits.score(tmp_path / "absent.csv", keep=["id", "form", "id"])


def test_evaluate_gives_the_figures_that_the_command_prints(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(SAMPLE_DATA / "digits.parquet")
    assert main([path]) == 0
    printed = json.loads(capsys.readouterr().out)
    figures = api.evaluate(path).as_facts(20)
    assert {name: printed[name] for name in figures} == figures


def test_evaluate_refuses_what_the_command_refuses() -> None:
    with pytest.raises(UsageError, match="names a column more than once"):
        api.evaluate(SAMPLE_DATA / "digits.parquet", by=["form", "form"])
    with pytest.raises(UsageError, match="^review_below=2: expected"):
        api.evaluate(SAMPLE_DATA / "digits.parquet", review_below=2)


FLAG = re.compile(r"(?<!\w)--[a-z]")
WRONG: dict[str, dict[str, Any]] = {
    "max_rejects='many': expected": {"max_rejects": "many"},
    "workers=0: expected": {"workers": 0},
    "batch_size=-5: expected": {"batch_size": -5},
    "delimiter: the delimiter is 'ab'": {"delimiter": "ab"},
    "leave out engine or strangeness=True": {"engine": "keras", "strangeness": True},
    "store is empty": {"store": "", "bundle": "digits"},
    "scale=-1: expected": {"scale": -1},
}


@pytest.mark.parametrize("words", WRONG)
def test_python_reads_of_keywords_not_of_flags(tmp_path: Path, words: str) -> None:
    """An error that comes from a function names its arguments."""
    with pytest.raises(BatchdigitsError) as raised:
        batchdigits.score(SAMPLE_DATA / "digits.csv", output=tmp_path / "o.csv", **WRONG[words])
    assert words in str(raised.value)
    assert not FLAG.search(str(raised.value))


def semicolons(path: Path) -> Path:
    """A CSV with another delimiter than the one that is the default."""
    path.write_bytes((SAMPLE_DATA / "digits.csv").read_bytes().replace(b",", b";"))
    return path


def test_summaries_and_logs_speak_of_keywords_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused inputs are in the summary, and in the log where somebody listens."""
    bad = semicolons(tmp_path / "odd.csv")
    summary = batchdigits.score([bad, SAMPLE_DATA / "bad.csv"], output=f"{tmp_path}/")
    told = [summary.inputs[0].error or "", *(record.getMessage() for record in caplog.records)]
    assert "delimiter=';'" in told[0]
    assert "more than max_rejects" in caplog.text
    assert len(told) == 3
    assert not any(FLAG.search(text) for text in told)


def test_the_commands_speak_of_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They call the same functions."""
    bad = semicolons(tmp_path / "odd.csv")
    assert predict.main([str(bad)]) == 65
    out, err = capsys.readouterr()
    assert "--delimiter" in err
    assert "--delimiter" in json.loads(out)["inputs"][0]["error"]


def test_the_package_lists_what_it_offers() -> None:
    """In dir() and help() too, though the names are imported when they are first used."""
    assert set(batchdigits.__all__) <= set(dir(batchdigits))
    text = pydoc.plaintext.document(batchdigits)
    for name in batchdigits.__all__:
        assert name in text
    assert "Score files as" in text
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        batchdigits.nonsense  # noqa: B018


def test_reprs_are_one_short_line(bundle: batchdigits.Bundle, tmp_path: Path) -> None:
    """A notebook shows them; a bundle has megabytes."""
    assert repr(bundle).startswith("<Bundle digits@3 of 10 classes, sha256:")
    summary = batchdigits.score(SAMPLE_DATA / "bad.csv", output=tmp_path / "o.csv")
    assert repr(summary) == (
        "<RunSummary exit_code=3, 1 input, 36 rows in, 20 predicted, 16 rejected>"
    )
    evaluation = api.evaluate(SAMPLE_DATA / "digits.parquet")
    assert repr(evaluation) == "<Evaluation of digits@3 on 1797 labelled rows, accuracy 0.9978>"
    for thing in (bundle, bundle.file, summary, summary.inputs[0], evaluation):
        assert len(repr(thing)) < 1000
        assert "\n" not in repr(thing)


LOOKS = {
    "looks inverted": lambda rows: 16 - rows,
    "add scale=1": lambda rows: rows / 16,
    "are odd": lambda rows: rows.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)[:3],
}


@pytest.mark.parametrize("words", LOOKS)
def test_rows_that_do_not_look_like_digits_are_scored_with_a_warning(
    words: str, bundle: batchdigits.Bundle, table: pa.Table
) -> None:
    """It names the line that called, and speaks of keywords."""
    rows = LOOKS[words](np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)]))
    with pytest.warns(batchdigits.BatchdigitsWarning, match=words) as caught:
        assert bundle.predict(rows).num_rows == len(rows)
    assert [warning.filename for warning in caught] == [__file__]
    batches = pa.table({"pixels": list(rows)}).to_batches(max_chunksize=100)
    with pytest.warns(batchdigits.BatchdigitsWarning, match=words) as caught:
        assert sum(part.predictions.num_rows for part in bundle.score_batches(batches)) == len(rows)
    assert [warning.filename for warning in caught] == [__file__]


def test_digits_give_no_warning_and_scale_reads_them_in_another_range(
    bundle: batchdigits.Bundle, table: pa.Table
) -> None:
    rows = np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = bundle.predict(rows)
        assert bundle.predict(rows * 15.9375, scale=255)["prediction"].equals(plain["prediction"])
    with pytest.raises(UnusableInputError, match=r"numbers in 0\.\.1, or the largest value"):
        bundle.predict(rows, scale=1)
    with pytest.raises(UsageError, match="scale"):
        bundle.predict(rows, scale=0)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", f"{SAMPLE_DATA}/a\0.csv"])
@pytest.mark.parametrize("keyword", ["inputs", "output", "store", "bundle"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str, keyword: str) -> None:
    """As our error, not as one of Python's."""
    given = {"inputs": SAMPLE_DATA / "digits.csv", "output": tmp_path / "o.csv", keyword: name}
    if keyword == "store":
        given["bundle"] = "digits"
    with pytest.raises(BatchdigitsError) as raised:
        batchdigits.score(**given)
    assert raised.value.exit_code in (2, 66, 73, 78)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), 10**39])
def test_a_share_of_any_size_is_refused_as_one(value: float) -> None:
    for keyword in ("review_below", "max_drift"):
        with pytest.raises(UsageError, match=f"^{keyword}.*expected a (confidence|number)"):
            batchdigits.score(SAMPLE_DATA / "digits.csv", **{keyword: value})
