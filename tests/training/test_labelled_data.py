from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.packing.card import describe_chosen
from batchdigits.rows.options import ReadOptions
from batchdigits.training.data import Labelled, load_tutorial_digits, read_labelled

NAMES = [f"pixel_{i}" for i in range(64)]


def rows_of(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 17, (count, 64))


def write_csv(path: Path, labels: Sequence[str], pixels: np.ndarray | None = None) -> str:
    pixels = rows_of(len(labels)) if pixels is None else pixels
    lines = [",".join(["id", "digit", *NAMES])]
    lines += [
        ",".join([f"f{i:03}", label, *map(str, row.tolist())])
        for i, (label, row) in enumerate(zip(labels, pixels, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def write_parquet(path: Path, labels: pa.Array) -> str:
    pixels = rows_of(len(labels)).astype(np.uint8)
    columns = {name: pixels[:, i] for i, name in enumerate(NAMES)}
    pq.write_table(pa.table({**columns, "digit": labels}), path)
    return str(path)


def classes_of(data: Labelled) -> list[Any]:
    classes: list[Any] = data.binarizer.classes_.tolist()
    return classes


def test_the_tutorials_digits_are_all_there() -> None:
    data = load_tutorial_digits()
    assert data.pixels.shape == (1797, 64)
    assert classes_of(data) == list(range(10))
    assert data.pixels.min() == 0
    assert data.pixels.max() == 16


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["3", "-1", "0", "3"], [-1, 0, 3]),
        (["03", "1", "1", "03"], ["03", "1"]),
        (["yes", "no", "yes", "no"], ["no", "yes"]),
        (["9223372036854775808", "1", "1"], ["1", "9223372036854775808"]),
        (["True", "False", "True"], ["False", "True"]),
    ],
)
def test_csv_labels_are_text_unless_all_are_plain_whole_numbers(
    tmp_path: Path, labels: list[str], classes: list[Any]
) -> None:
    """`03` is an id with a leading zero, not a three."""
    data = read_labelled([write_csv(tmp_path / "rows.csv", labels)], "digit", ReadOptions())
    assert classes_of(data) == classes
    texts = [str(classes[target]) for target in data.targets]
    assert texts == labels
    assert np.array_equal(data.pixels, rows_of(len(labels)))


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array([7, 1, 7], pa.uint8()), [1, 7]),
        (pa.array([2.0, 1.0, 2.0]), [1.0, 2.0]),
        (pa.array([True, False, True]), [False, True]),
        (pa.array(["b", "a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["a", "b"]),
    ],
)
def test_parquet_labels_keep_their_type(
    tmp_path: Path, labels: pa.Array, classes: list[Any]
) -> None:
    path = write_parquet(tmp_path / "rows.parquet", labels)
    read = classes_of(read_labelled([path], "digit", ReadOptions()))
    assert read == classes
    assert list(map(type, read)) == list(map(type, classes))


@pytest.mark.parametrize(
    ("labels", "are_digits"),
    [
        (pa.array(range(10)), True),
        (pa.array(range(10), pa.float64()), True),
        (pa.array(list("0123456789")), True),
        (pa.array(range(9)), False),
        (pa.array(range(1, 11)), False),
        (pa.array([True, False]), False),
    ],
)
def test_digits_may_be_labels_of_any_type(
    tmp_path: Path, labels: pa.Array, are_digits: bool
) -> None:
    path = write_parquet(tmp_path / "rows.parquet", labels)
    assert read_labelled([path], "digit", ReadOptions()).are_digits is are_digits


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (pa.array([0.5, 1.0]), "holds 0.5"),
        (pa.array([float("inf"), 1.0]), "holds inf"),
        (pa.array([1, None]), "without a label in column 'digit': 1, the first is row 2"),
        (pa.array(["a", ""]), "without a label"),
        (pa.array(["a", " \t", "b"]), "the first is row 2"),
        (pa.array([[1], [2]]), "expected whole numbers"),
        (pa.array([1, 1]), "every label is 1"),
        (pa.array([2**63, 1], pa.uint64()), "beyond signed 64 bits"),
        (pa.array([2.0**63, 1.0]), "holds 9.2.*e\\+18: .*at most 64 bits"),
        (pa.array([-1e19, 1.0], pa.float32()), "holds -9.9.*e\\+18: .*at most 64 bits"),
    ],
)
def test_labels_that_are_no_classes_are_refused(
    tmp_path: Path, labels: pa.Array, message: str
) -> None:
    path = write_parquet(tmp_path / "rows.parquet", labels)
    with pytest.raises(UnusableInputError, match=message):
        read_labelled([path], "digit", ReadOptions())


@pytest.mark.parametrize("missing", ["nan", "NA", " ", "null", "None"])
def test_a_csv_cell_that_means_missing_is_no_class(tmp_path: Path, missing: str) -> None:
    path = write_csv(tmp_path / "rows.csv", ["1", missing, "2"])
    with pytest.raises(UnusableInputError, match="without a label.*: 1, the first is row 2"):
        read_labelled([path], "digit", ReadOptions())


def test_a_missing_label_column_lists_the_columns(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "rows.csv", ["1", "2"])
    with pytest.raises(UnusableInputError, match=r"no column 'label'.*'id', 'digit'.*--label"):
        read_labelled([path], "label", ReadOptions())


def test_rows_that_predict_would_reject_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    """Two bad rows: nothing is learnt from the others, and the file names where to look."""
    pixels = rows_of(5)
    pixels[2, 3] = 17
    pixels[4, 9] = 99
    path = write_csv(tmp_path / "rows.csv", list("12121"), pixels)
    message = r"2 rows can't be learnt from, first row 3 \(line 4\): out-of-range, pixel_3='17'"
    with pytest.raises(UnusableInputError, match=message):
        read_labelled([path], "digit", ReadOptions())


def test_scaled_pixels_come_as_0_to_16(tmp_path: Path) -> None:
    pixels = np.full((2, 64), 255)
    pixels[1] = 51
    path = write_csv(tmp_path / "rows.csv", ["1", "2"], pixels)
    scaled = read_labelled([path], "digit", ReadOptions(scale=255)).pixels
    assert np.array_equal(scaled, np.full((2, 64), [[16], [np.float32(3.2)]]))


def test_rows_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    """Nothing can be learnt from them; training ended with a fault of its own."""
    for value in (0, 16):
        path = write_csv(tmp_path / "rows.csv", ["1", "2"] * 9, np.full((18, 64), value))
        with pytest.raises(UnusableInputError, match="all 18 rows have the same pixels"):
            read_labelled([path], "digit", ReadOptions())


def test_a_missing_file_and_standard_input_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoInputError):
        read_labelled([str(tmp_path / "none.csv")], "digit", ReadOptions())
    with pytest.raises(UsageError, match="not standard input"):
        read_labelled(["-"], "digit", ReadOptions())


def test_files_and_folders_are_learnt_from_together(tmp_path: Path) -> None:
    """Also one whose labels are all the same, which alone would not do."""
    (tmp_path / "more").mkdir()
    first = write_csv(tmp_path / "rows.csv", ["1", "2", "1"])
    write_csv(tmp_path / "more" / "a.csv", ["7", "7"], rows_of(5)[3:])
    write_parquet(tmp_path / "more" / "b.parquet", pa.array([2.0, 1.0]))
    data = read_labelled([first, str(tmp_path / "more")], "digit", ReadOptions())
    assert [int(data.binarizer.classes_[i]) for i in data.targets] == [1, 2, 1, 7, 7, 2, 1]
    assert (data.pixels[3:5] == rows_of(5)[3:]).all()
    facts = data.as_facts()
    assert [(part["path"], part["rows"]) for part in facts["files"]] == [
        (first, 3), (str(tmp_path / "more" / "a.csv"), 2), (str(tmp_path / "more" / "b.parquet"), 2)
    ]  # fmt: skip
    assert facts["rows"] == 7
    alone = read_labelled([first], "digit", ReadOptions())
    assert facts["files"][0]["digest"] == alone.digest
    assert "files" not in alone.as_facts()


def test_a_file_named_twice_and_labels_of_two_kinds_are_refused(tmp_path: Path) -> None:
    first = write_csv(tmp_path / "rows.csv", ["1", "2"])
    with pytest.raises(UsageError, match="is the same file as"):
        read_labelled([first, str(tmp_path)], "digit", ReadOptions())
    other = write_csv(tmp_path / "words.csv", ["one", "two"])
    with pytest.raises(UnusableInputError, match="the labels in column 'digit' are of different"):
        read_labelled([first, other], "digit", ReadOptions())
    flags = write_parquet(tmp_path / "flags.parquet", pa.array([True, False]))
    with pytest.raises(UnusableInputError, match="are of different kinds"):
        read_labelled([first, flags], "digit", ReadOptions())


def test_rows_that_a_review_chose_are_counted(tmp_path: Path) -> None:
    """Those of `review rows` have two columns that tell; another column `chosen` means nothing."""
    pixels = rows_of(4).astype(np.uint8)
    columns = {name: pa.array(pixels[:, i]) for i, name in enumerate(NAMES)}
    chosen = pa.array(["doubtful", "sample", "doubtful", "doubtful"])
    table = pa.table({**columns, "label": pa.array([1, 2, 1, 2]), "chosen": chosen})
    path = tmp_path / "corrected.parquet"
    pq.write_table(table, path)
    assert read_labelled([str(path)], "label", ReadOptions()).chosen == {}
    pq.write_table(table.append_column("chance", pa.array([1.0, 0.1, 1.0, 1.0])), path)
    data = read_labelled([str(path)], "label", ReadOptions())
    assert data.as_facts()["chosen"] == {"doubtful": 3, "sample": 1}
    told = describe_chosen(data.as_facts())
    assert told.startswith("4 of 4 rows were chosen by a review, 3 of them because")


def test_the_digest_is_the_files(tmp_path: Path) -> None:
    import hashlib

    path = write_csv(tmp_path / "rows.csv", ["1", "2"])
    expected = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert read_labelled([path], "digit", ReadOptions()).digest == f"sha256:{expected}"


def not_utf8(count: int, kind: pa.DataType) -> pa.Array:
    """Text whose bytes are no UTF-8, which Arrow and Parquet do not check."""
    return pa.array([b"\xff", b"a"] * (count // 2)).view(pa.string()).cast(kind)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_labels_that_are_no_text_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    path = write_parquet(tmp_path / "rows.parquet", not_utf8(6, kind))
    with pytest.raises(UnusableInputError, match=r"rows\.parquet: column 'digit'.*not UTF-8"):
        read_labelled([path], "digit", ReadOptions())


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a", "b" * 201], "a label of 201 characters"),
        (["a", "b" * 1_000_000], "a label of 1000000 characters"),
        ([f"row {n}" for n in range(1001)], "has 1001 different labels, expected at most 1000"),
        ([str(n) for n in range(2000)], "has 2000 different labels"),
    ],
)
def test_a_column_of_other_texts_is_not_learnt(
    tmp_path: Path, labels: list[str], told: str
) -> None:
    """A long text would be copied for every row, and every class is an output of the network."""
    path = write_csv(tmp_path / "rows.csv", labels)
    with pytest.raises(UnusableInputError, match=told):
        read_labelled([path], "digit", ReadOptions())
