"""The Python interface uses the same bundles and the same scoring function as the commands."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits import api
from batchdigits.errors import BundleError, NoInputError, UnusableInputError, UsageError
from batchdigits.evaluate import main


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
        table.to_pandas(),
    ):
        assert bundle.predict(rows).select(["prediction", "confidence"]).equals(expected)


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


def test_the_first_bundle_ever_still_reads_and_scores(table: pa.Table) -> None:
    """Every later version reads format 1; the tests keep a copy of the first bundle."""
    first = batchdigits.open_bundle(Path(__file__).parent / "data" / "digits-format-1.bundle")
    assert first.manifest.format == 1
    assert np.mean(np.array(first.predict(table)["prediction"]) == np.array(table["label"])) > 0.95


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
    with pytest.raises(UsageError, match="--keep names 'id' more than once"):
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
    with pytest.raises(UsageError, match="--review-below 2"):
        api.evaluate(SAMPLE_DATA / "digits.parquet", review_below=2)
