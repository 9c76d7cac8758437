"""The labels of the outputs, in their order, and the rows that they fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saved_models import joblibbed
from sklearn.preprocessing import LabelBinarizer, LabelEncoder, OneHotEncoder, StandardScaler

from batchdigits.errors import UnusableInputError
from batchdigits.training.importing.labels import (
    Labels,
    as_labels,
    numbers_of,
    parse_labels,
    read_labels,
)
from batchdigits.training.importing.pickled import read_record

DIGITS = np.array([3, 1, 2, 1])
WORDS = np.array(["c", "a", "b", "a"], object)


def read(fitted: Any) -> Labels:
    return read_labels(read_record(joblibbed(fitted)), "labels.joblib")


@pytest.mark.parametrize(
    ("fitted", "labels", "kind"),
    [
        (LabelBinarizer().fit(DIGITS), [1, 2, 3], "int64"),
        (LabelBinarizer(sparse_output=True).fit(WORDS), ["a", "b", "c"], "<U1"),
        (LabelBinarizer(neg_label=-1, pos_label=2).fit(DIGITS > 1), [False, True], "bool"),
        (LabelEncoder().fit(WORDS), ["a", "b", "c"], "<U1"),
        (LabelEncoder().fit(DIGITS.astype(np.uint8)), [1, 2, 3], "int64"),
        (LabelEncoder().fit(DIGITS.astype(np.float32)), [1.0, 2.0, 3.0], "float64"),
        (OneHotEncoder().fit(WORDS[:, None]), ["a", "b", "c"], "<U1"),
        (OneHotEncoder(categories=[["c", "a", "b"]]).fit(WORDS[:, None]), ["c", "a", "b"], "<U1"),
    ],
)
def test_each_encoder_gives_its_labels_in_the_order_of_its_columns(
    fitted: Any, labels: list[Any], kind: str
) -> None:
    found = read(fitted)
    assert (found.tolist(), str(found.dtype)) == (labels, kind)


@pytest.mark.parametrize(
    ("fitted", "told"),
    [
        (OneHotEncoder(drop="first").fit(DIGITS[:, None]), "leaves categories out"),
        (OneHotEncoder(max_categories=2).fit(DIGITS[:, None]), "leaves categories out"),
        (OneHotEncoder().fit(np.c_[DIGITS, DIGITS]), "encodes several columns"),
        (LabelBinarizer().fit(np.eye(3, dtype=int)), "one label for each row"),
        (LabelEncoder(), "is not fitted"),
        (LabelEncoder().fit([1, 1]), "there are 1, expected 2 to 1000"),
        (StandardScaler().fit(np.eye(3)), "expected a LabelBinarizer, LabelEncoder"),
    ],
)
def test_an_encoder_without_a_column_for_each_class_is_refused(fitted: Any, told: str) -> None:
    with pytest.raises(UnusableInputError, match=told):
        read(fitted)


def test_a_list_of_labels_is_whole_numbers_or_text() -> None:
    assert parse_labels("3,1, 2").tolist() == [3, 1, 2]
    assert parse_labels("3,b").tolist() == ["3", "b"]
    for text, told in (("7", "there are 1"), ("1,2,1", "there twice"), ("", "there are 1")):
        with pytest.raises(UnusableInputError, match=told):
            parse_labels(text)
    for values, told in (
        ([1, "a"], "labels of type int, str"),
        (["a", "b" * 5000], "has a label of 5000 characters"),
        (list(range(1001)), "there are 1001 labels, expected 1000 at most"),
    ):
        with pytest.raises(UnusableInputError, match=told):
            as_labels(np.array(values, object), "labels")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([7, 3, 7], [3, 7]),
        (["7", "3", "7"], [3, 7]),
        ([7, 3, 7], ["3", "7"]),
        ([7.0, 3, 7], [3, 7]),
    ],
)
def test_a_label_is_found_whatever_type_the_file_gave_it(labels: Any, classes: Any) -> None:
    """CSV has no types."""
    assert numbers_of(np.array(labels), np.array(classes), "x").tolist() == [1, 0, 1]
    booleans = numbers_of(np.array(["True", "False"]), np.array([False, True]), "x")
    assert booleans.tolist() == [1, 0]


def test_labels_that_do_not_fit_the_classes_are_refused() -> None:
    with pytest.raises(UnusableInputError, match="x: has rows labelled 9, and the model knows 3,7"):
        numbers_of(np.array([3, 9, 7]), np.array([3, 7]), "x")
    with pytest.raises(UnusableInputError, match="x: has no row labelled 7, so nothing proves"):
        numbers_of(np.array([3, 3]), np.array([3, 7]), "x")
