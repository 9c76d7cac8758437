"""Two bundles on the same rows, against counts made by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from labelled_rows import compared, new, old, opened, write

from batchdigits.archive.classes import Classes
from batchdigits.errors import BundleError
from batchdigits.evaluation.compare import check_candidate, compare_bundles


def test_flips_are_listed_row_by_row(four: Path) -> None:
    """With the other columns, and counted as better, worse or neither."""
    comparison = compared(four)
    assert (comparison.flip_count, comparison.improved, comparison.worsened) == (3, 1, 1)
    assert [flip.row for flip in comparison.flips] == [2, 3, 4]
    flip = comparison.flips[0]
    assert (flip.columns, flip.label, flip.old, flip.new) == ({"id": "008"}, 1, 1, 2)
    assert (flip.old_confidence, flip.new_confidence) == (0.75, 0.75)
    assert comparison.matrix.tolist() == [[1, 1, 1], [0, 0, 1], [0, 0, 0]]


def test_the_list_of_flips_is_bounded_and_their_count_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "many.parquet", [(0, 16, 1, 16)] * 100)
    comparison = compared(path, keep_flips=7, batch_rows=10)
    assert (len(comparison.flips), comparison.flip_count) == (7, 100)
    assert [flip.row for flip in comparison.flips] == [1, 2, 3, 4, 5, 6, 7]


def test_without_labels_there_are_the_flips_alone(tmp_path: Path) -> None:
    comparison = compared(write(tmp_path / "rows.parquet", [(0, 16, 1, 16), (0, 16, 0, 16)]))
    assert (comparison.flip_count, comparison.flips[0].label) == (1, None)
    facts = comparison.new.as_facts()
    assert {facts[key] for key in ("accuracy", "log_loss", "rows_right")} == {None}
    assert (comparison.improved, comparison.worsened) == (0, 0)


def test_a_row_without_a_probability_is_wrong_and_no_flip(tmp_path: Path) -> None:
    """A bundle must not gain by keeping silent on what it finds hard."""
    rows = [(0, 16, 0, 0), (1, 16, 0, 16), (17, 0, 0, 0)]
    comparison = compared(write(tmp_path / "rows.parquet", rows, label=[0, 0, 0]))
    assert (comparison.old.accuracy, comparison.new.accuracy) == (0.5, 0.5)
    assert comparison.new.as_facts()["reasons"] == {"out-of-range": 1, "no-probability": 1}
    assert [flip.row for flip in comparison.flips] == [2]
    assert comparison.new.as_facts()["mean_confidence"] == 1.0


def test_classes_may_differ(tmp_path: Path) -> None:
    """A row whose label is not among a bundle's classes counts as an error of that bundle."""
    path = write(tmp_path / "rows.parquet", [(0, 16, 0, 16), (1, 16, 3, 16)], label=[0, 3])
    more = Classes("string", ("0", "1", "2", "3"))
    with opened(path) as rows:
        comparison = compare_bundles(rows, old(), new(more))
    assert (comparison.labels, comparison.only_old, comparison.only_new) == (
        (0, 1, 2, "3"),
        (),
        ("3",),
    )
    assert (comparison.old.unknown, comparison.new.unknown) == (1, 0)
    assert (comparison.old.accuracy, comparison.new.accuracy) == (0.5, 1.0)
    assert [(flip.old, flip.new) for flip in comparison.flips] == [(1, "3")]


def test_regression_is_exact(four: Path, tmp_path: Path) -> None:
    assert compared(four).regression == 0
    worse = write(
        tmp_path / "worse.parquet", [(0, 16, 0, 16)] * 2 + [(0, 16, 1, 16)], label=[0] * 3
    )
    assert compared(worse).regression == Fraction(1, 3)


def test_a_candidate_may_be_less_accurate_by_what_is_allowed_and_no_more(
    four: Path, tmp_path: Path
) -> None:
    """The error names the bundle, the accuracies, the limit and the alias that stays."""
    rows = [(0, 16, 0, 16)] * 2 + [(0, 16, 1, 16)]
    worse = write(tmp_path / "worse.parquet", rows, label=[0] * 3)

    def check(path: Path, allowed: Fraction) -> str:
        incumbent, candidate = old(name="digits@1"), new(name="digits@2")
        with opened(path) as rows:
            return check_candidate(
                rows, candidate, incumbent, alias="digits@production", max_regression=allowed
            )

    assert check(four, Fraction(0)) == f"accuracy 0.5000 on 4 rows of {four}, 0.5000 with digits@1"
    assert check(worse, Fraction(1, 3)).startswith("accuracy 0.6667 on 3 rows")
    limit = "worse by more than --max-regression 0.3; digits@production stays at digits@1"
    with pytest.raises(BundleError, match=f"^digits@2: accuracy 0.6667.*1.0000.*{limit}"):
        check(worse, Fraction(3, 10))


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
def test_how_rows_are_batched_changes_nothing(tmp_path: Path, batch_rows: int) -> None:
    random = np.random.default_rng(1)
    rows = random.integers((0, 0, 0, 0), (3, 17, 3, 17), (40, 4)).tolist()
    path = write(tmp_path / "rows.parquet", rows, label=random.integers(0, 4, 40))
    whole, cut = compared(path), compared(path, batch_rows=batch_rows)
    assert cut.flips == whole.flips
    assert (cut.matrix == whole.matrix).all()
    for tally, other in ((cut.old, whole.old), (cut.new, whole.new)):
        facts, expected = tally.as_facts(), other.as_facts()
        assert facts.pop("reasons") == expected.pop("reasons")
        assert min(facts.pop("rows_per_second"), expected.pop("rows_per_second")) > 0
        assert facts == pytest.approx(expected)


def test_columns_can_be_narrowed_and_values_fit_json(tmp_path: Path) -> None:
    """The labels are read anyway."""
    columns = {"id": [math.inf], "day": pa.array([3], pa.date32()), "label": [0]}
    path = write(tmp_path / "rows.parquet", [(0, 16, 1, 16)], **columns)
    assert compared(path).flips[0].columns == {"id": "inf", "day": "1970-01-04"}
    narrowed = compared(path, keep=("day",))
    assert (narrowed.flips[0].columns, narrowed.flips[0].label) == ({"day": "1970-01-04"}, 0)
