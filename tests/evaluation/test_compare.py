"""Two bundles on the same rows, against counts made by hand."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes
from batchdigits.errors import BundleError, NoInputError, UnusableInputError, UsageError
from batchdigits.evaluation.compare import BundleComparison, check_candidate, compare_bundles
from batchdigits.evaluation.evaluator import Evaluator, score_labelled
from batchdigits.evaluation.labels import (
    UNKNOWN,
    UNLABELLED,
    LabelledOptions,
    LabelledRows,
    find_file,
    label_keys,
    label_places,
    open_labelled,
)
from batchdigits.report.comparison import _figures
from batchdigits.rows.options import Machine

OLD = Classes("int64", (0, 1, 2))


class Told:
    """An engine that reads its answer off the pixels: `pixel` holds the class, the next its ink.

    The probability of that class is ink / 16, the others share the rest. Ink 0 gives no number.
    """

    name = "onnx"

    def __init__(self, classes: int, pixel: int) -> None:
        self.classes = classes
        self.pixel = pixel

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        sure = pixels[:, self.pixel + 1].astype(np.float32) / 16
        found = np.repeat(((1 - sure) / (self.classes - 1))[:, np.newaxis], self.classes, axis=1)
        found[np.arange(len(pixels)), pixels[:, self.pixel].astype(int)] = sure
        found[sure == 0] = np.nan
        return found.astype(np.float32)

    def most_probable(self, pixels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        found = self.probabilities(pixels)
        best = found.argmax(axis=1)
        return best, found[np.arange(len(best)), best]


def old(classes: Classes = OLD) -> Evaluator:
    return Evaluator(Told(len(classes), 0), classes)


def new(classes: Classes = OLD) -> Evaluator:
    return Evaluator(Told(len(classes), 2), classes)


def write(path: Path, rows: list[tuple[int, int, int, int]], **columns: Any) -> Path:
    """Rows of (old's class, its ink, new's class, its ink) and other columns."""
    pixels = np.zeros((len(rows), 64), np.uint8)
    pixels[:, :4] = rows
    table = {f"pixel_{i}": pa.array(column) for i, column in enumerate(pixels.T)}
    pq.write_table(pa.table({**columns, **table}), path)
    return path


def opened(path: Path, **options: Any) -> AbstractContextManager[LabelledRows]:
    machine = Machine(1, options.pop("batch_rows", 32_768))
    return open_labelled(find_file(str(path)), LabelledOptions(**options), machine)


def run(path: Path, label: str | None = None, **options: Any) -> BundleComparison:
    keep = options.pop("keep_flips", 20)
    with opened(path, label=label, **options) as rows:
        return compare_bundles(rows, old(), new(), keep_flips=keep)


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Old is right on rows 1 and 2, new on 1 and 3, nobody on 4."""
    rows = [(0, 16, 0, 12), (1, 12, 2, 12), (0, 8, 2, 16), (0, 12, 1, 8)]
    columns = {"id": ["007", "008", "009", "010"], "label": [0, 1, 2, 2]}
    return write(tmp_path / "four.parquet", rows, **columns)


def test_accuracy_and_confidence_of_both(four: Path) -> None:
    found = run(four)
    before, after = found.old.as_facts(), found.new.as_facts()
    assert (before["accuracy"], after["accuracy"]) == (0.5, 0.5)
    assert before["mean_confidence"] == pytest.approx((1 + 0.75 + 0.5 + 0.75) / 4)
    assert before["mean_confidence_right"] == pytest.approx((1 + 0.75) / 2)
    assert before["mean_confidence_wrong"] == pytest.approx((0.5 + 0.75) / 2)
    losses = [-math.log(p) for p in (1, 0.75, 0.25, 0.125)]
    assert before["log_loss"] == pytest.approx(sum(losses) / 4)
    assert before["rows_per_second"] > 0


def test_log_loss_is_that_of_scikit_learn(tmp_path: Path) -> None:
    """Certain mistakes included, which both clip alike."""
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    rows = [(*pair, *pair) for pair in random.integers((0, 6), (3, 17), (50, 2)).tolist()]
    labels = random.integers(0, 3, 50)
    found = run(write(tmp_path / "many.parquet", rows, label=labels)).old.as_facts()
    pixels = np.zeros((50, 64), np.uint8)
    pixels[:, :4] = rows
    probabilities = Told(3, 0).probabilities(pixels)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(labels, probabilities), rel=1e-5)


def test_flips_are_told_row_by_row(four: Path) -> None:
    """With the other columns, and counted as better, worse or neither."""
    found = run(four)
    assert (found.flip_count, found.improved, found.worsened) == (3, 1, 1)
    assert [flip.row for flip in found.flips] == [2, 3, 4]
    flip = found.flips[0]
    assert (flip.columns, flip.label, flip.old, flip.new) == ({"id": "008"}, 1, 1, 2)
    assert (flip.old_confidence, flip.new_confidence) == (0.75, 0.75)
    assert found.matrix.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_the_list_of_flips_is_bounded_and_their_count_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "many.parquet", [(0, 16, 1, 16)] * 100)
    found = run(path, keep_flips=7, batch_rows=10)
    assert (len(found.flips), found.flip_count) == (7, 100)
    assert [flip.row for flip in found.flips] == [1, 2, 3, 4, 5, 6, 7]


def test_without_labels_there_are_the_flips_alone(tmp_path: Path) -> None:
    found = run(write(tmp_path / "rows.parquet", [(0, 16, 1, 16), (0, 16, 0, 16)]))
    assert (found.flip_count, found.flips[0].label) == (1, None)
    facts = found.new.as_facts()
    assert {facts[key] for key in ("accuracy", "log_loss", "rows_right")} == {None}
    assert (found.improved, found.worsened) == (0, 0)


def test_rejected_rows_are_counted_and_do_not_shift_the_numbers(tmp_path: Path) -> None:
    rows = [(0, 16, 0, 16), (17, 16, 0, 16), (0, 16, 1, 16)]
    found = run(write(tmp_path / "rows.parquet", rows, label=[0, 0, 0]))
    assert found.old.as_facts()["reasons"] == {"out-of-range": 1}
    assert (found.old.counts.rows_in, found.old.labelled, found.new.right) == (3, 2, 1)
    assert [flip.row for flip in found.flips] == [3]


def test_a_row_without_a_probability_is_wrong_and_no_flip(tmp_path: Path) -> None:
    """A bundle must not gain by keeping silent on what it finds hard."""
    rows = [(0, 16, 0, 0), (1, 16, 0, 16), (17, 0, 0, 0)]
    found = run(write(tmp_path / "rows.parquet", rows, label=[0, 0, 0]))
    assert (found.old.accuracy, found.new.accuracy) == (0.5, 0.5)
    assert found.new.as_facts()["reasons"] == {"out-of-range": 1, "no-probability": 1}
    assert [flip.row for flip in found.flips] == [2]
    assert found.new.as_facts()["mean_confidence"] == 1.0


def test_an_old_bundle_without_any_probability_has_no_speed_to_compare(tmp_path: Path) -> None:
    """No row a second is no divisor."""
    found = run(write(tmp_path / "rows.parquet", [(0, 0, 0, 16)], label=[0]))
    assert found.old.as_facts()["rows_per_second"] == 0
    assert _figures(found).splitlines()[-1].split()[:-1] == ["rows/s,", "one", "thread", "0"]


def test_classes_may_differ(tmp_path: Path) -> None:
    """A label that a bundle does not know is one that it gets wrong."""
    path = write(tmp_path / "rows.parquet", [(0, 16, 0, 16), (1, 16, 3, 16)], label=[0, 3])
    more = Classes("string", ("0", "1", "2", "3"))
    with opened(path) as rows:
        found = compare_bundles(rows, old(), new(more))
    assert (found.labels, found.only_old, found.only_new) == ((0, 1, 2, "3"), (), ("3",))
    assert (found.old.unknown, found.new.unknown) == (1, 0)
    assert (found.old.accuracy, found.new.accuracy) == (0.5, 1.0)
    assert [(flip.old, flip.new) for flip in found.flips] == [(1, "3")]


def test_regression_is_exact(four: Path, tmp_path: Path) -> None:
    assert run(four).regression == 0
    worse = write(
        tmp_path / "worse.parquet", [(0, 16, 0, 16)] * 2 + [(0, 16, 1, 16)], label=[0] * 3
    )
    assert run(worse).regression == Fraction(1, 3)


def test_a_candidate_may_be_less_accurate_by_what_is_allowed_and_no_more(
    four: Path, tmp_path: Path
) -> None:
    """The error names the bundle, the accuracies, the limit and the alias that stays."""
    rows = [(0, 16, 0, 16)] * 2 + [(0, 16, 1, 16)]
    worse = write(tmp_path / "worse.parquet", rows, label=[0] * 3)

    def check(path: Path, allowed: Fraction) -> str:
        incumbent = Evaluator(Told(3, 0), OLD, name="digits@1")
        candidate = Evaluator(Told(3, 2), OLD, name="digits@2")
        with opened(path) as rows:
            return check_candidate(
                rows, candidate, incumbent, alias="digits@production", max_regression=allowed
            )

    assert check(four, Fraction(0)) == f"accuracy 0.5000 on 4 rows of {four}, 0.5000 with digits@1"
    assert check(worse, Fraction(1, 3)).startswith("accuracy 0.6667 on 3 rows")
    limit = "worse by more than --max-regression 0.3; digits@production stays at digits@1"
    with pytest.raises(BundleError, match=f"^digits@2: accuracy 0.6667.*1.0000.*{limit}"):
        check(worse, Fraction(3, 10))


def test_one_bundle_alone(four: Path) -> None:
    """The figures are those that it has in a comparison."""
    evaluator = old()
    with opened(four, label="label") as rows:
        list(score_labelled(rows, [evaluator]))
    alone, compared = evaluator.tally.as_facts(), run(four).old.as_facts()
    assert {**alone, "rows_per_second": 0} == {**compared, "rows_per_second": 0}


def test_off_the_clock_the_figures_are_the_same(tmp_path: Path) -> None:
    """From one run of the engine instead of two, rows without a probability among them."""
    random = np.random.default_rng(2)
    rows = random.integers((0, 0, 0, 0), (3, 17, 3, 17), (60, 4)).tolist()
    path = write(tmp_path / "rows.parquet", rows, label=random.integers(0, 4, 60))
    facts = []
    for timed in (True, False):
        evaluator = Evaluator(Told(3, 0), OLD, timed=timed)
        with opened(path) as opened_rows:
            list(score_labelled(opened_rows, [evaluator]))
        facts.append({**evaluator.tally.as_facts(), "rows_per_second": None})
    assert facts[0]["reasons"]["no-probability"] > 0
    assert facts[0] == facts[1]


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_how_rows_are_batched_changes_nothing(tmp_path: Path, batch_rows: int) -> None:
    random = np.random.default_rng(1)
    rows = random.integers((0, 0, 0, 0), (3, 17, 3, 17), (40, 4)).tolist()
    path = write(tmp_path / "rows.parquet", rows, label=random.integers(0, 4, 40))
    whole, cut = run(path), run(path, batch_rows=batch_rows)
    assert cut.flips == whole.flips
    assert (cut.matrix == whole.matrix).all()
    for one, other in ((cut.old, whole.old), (cut.new, whole.new)):
        facts, expected = one.as_facts(), other.as_facts()
        assert facts.pop("reasons") == expected.pop("reasons")
        assert min(facts.pop("rows_per_second"), expected.pop("rows_per_second")) > 0
        assert facts == pytest.approx(expected)


@pytest.mark.parametrize(
    ("column", "places"),
    [
        (pa.array([0, 2, 5, None]), [0, 2, UNKNOWN, UNLABELLED]),
        (pa.array([0, 2], pa.uint8()), [0, 2]),
        (pa.array([0.0, 2.0, 0.5, math.nan]), [0, 2, UNKNOWN, UNLABELLED]),
        (pa.array(["0", " 2 ", "2.0", "", "NA", "02"]), [0, 2, 2, UNLABELLED, UNLABELLED, UNKNOWN]),
        (pa.array(["1", None]).dictionary_encode(), [1, UNLABELLED]),
        (pa.array(["1", "2"], pa.string_view()), [1, 2]),
        (pa.nulls(2), [UNLABELLED, UNLABELLED]),
    ],
)
def test_a_label_means_the_same_in_every_type(column: pa.Array, places: list[int]) -> None:
    assert label_places(column, label_keys([0, 1, 2])).tolist() == places


def test_booleans_and_text_are_labels_too() -> None:
    flags = label_keys([False, True])
    assert label_places(pa.array([True, False]), flags).tolist() == [1, 0]
    assert label_places(pa.array(["True", "false"]), flags).tolist() == [1, 0]
    letters = label_keys(["a", "A", "na"])
    assert label_places(pa.array(["A", "a", "na", "null"]), letters).tolist() == [
        1,
        0,
        2,
        UNLABELLED,
    ]


def test_a_column_of_lists_is_no_label(tmp_path: Path) -> None:
    """Its file and its name are told."""
    lists = pa.array([[1]])
    path = write(tmp_path / "rows.parquet", [(0, 16, 0, 16)], digit=lists, label=lists)
    for label, name in ((None, "label"), ("digit", "digit")):
        told = rf"rows\.parquet: the label column '{name}' is list.*with --label"
        with pytest.raises(UsageError, match=told):
            run(path, label)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary("i4", "str")])
def test_labels_are_text_in_every_encoding(tmp_path: Path, kind: pa.DataType) -> None:
    labels = pa.array(["0"]).cast(kind)
    found = run(write(tmp_path / "rows.parquet", [(0, 16, 0, 16)], label=labels))
    assert found.old.accuracy == 1


def test_files_that_judge_nothing_are_refused(tmp_path: Path) -> None:
    """In one line that names the column, or the flags that may be missing."""
    rows = [(0, 16, 0, 16)]
    path = write(tmp_path / "rows.parquet", rows, id=["a"], label=[9], empty=pa.nulls(1))
    with pytest.raises(UnusableInputError, match="'digit' with labels.*'id', 'label', 'empty'"):
        run(path, "digit")
    with pytest.raises(UnusableInputError, match="column 'label' is a class of the bundle"):
        run(path)
    with pytest.raises(UnusableInputError, match="every label in column 'empty' is empty"):
        run(path, "empty")
    with pytest.raises(UnusableInputError, match="1 out-of-range"):
        run(write(tmp_path / "bad.parquet", [(17, 0, 0, 0)]))
    with pytest.raises(NoInputError):
        run(tmp_path / "none.parquet")
    with pytest.raises(UsageError, match="name one"):
        run(Path("-"))


def test_columns_can_be_narrowed_and_values_fit_json(tmp_path: Path) -> None:
    """The labels are read all the same."""
    columns = {"id": [math.inf], "day": pa.array([3], pa.date32()), "label": [0]}
    path = write(tmp_path / "rows.parquet", [(0, 16, 1, 16)], **columns)
    assert run(path).flips[0].columns == {"id": "inf", "day": "1970-01-04"}
    narrowed = run(path, keep=("day",))
    assert (narrowed.flips[0].columns, narrowed.flips[0].label) == ({"day": "1970-01-04"}, 0)
