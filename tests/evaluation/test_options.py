"""How labelled rows are read: the columns that are chosen, and what is refused at once."""

from __future__ import annotations

import pytest

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation.options import LabelledOptions

NAMES = ["id", "label", "form"]


def test_the_labels_and_the_columns_to_group_by_are_read_and_no_others() -> None:
    assert LabelledOptions(keep=("form",)).select(NAMES, "f.csv") == ["label", "form"]
    assert LabelledOptions(keep=("label", "form")).select(NAMES, "f.csv") == ["label", "form"]
    assert LabelledOptions(keep=(), label="id").select(NAMES, "f.csv") == ["id"]


def test_without_columns_to_keep_all_are_read() -> None:
    assert LabelledOptions().select(NAMES, "f.csv") == NAMES


def test_the_column_label_is_taken_where_there_is_one() -> None:
    assert LabelledOptions().label_among(NAMES) == "label"
    assert LabelledOptions().label_among(["id"]) is None
    assert LabelledOptions(keep=()).select(["id"], "f.csv") == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LabelledOptions(label="digit"), "no column 'digit' with labels.*'id'.*with --label"),
        (LabelledOptions(keep=("sheet",)), "no column 'sheet' to group by.*'id'.*with --by"),
    ],
)
def test_a_column_that_the_file_lacks_is_named_with_its_flag(
    options: LabelledOptions, message: str
) -> None:
    with pytest.raises(UnusableInputError, match=rf"^f\.csv: {message}$"):
        options.select(NAMES, "f.csv")


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (LabelledOptions(keep=("form", "form")), "--by form,form: names a column more than once"),
        (LabelledOptions(delimiter="xx"), "--delimiter"),
        (LabelledOptions(scale=0), "--scale 0"),
    ],
)
def test_wrong_usage_names_its_flag(options: LabelledOptions, flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        options.checked()
