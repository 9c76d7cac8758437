"""Numbers in Arrow columns: every type gives the same pixels, and what is wrong is told."""

import decimal
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import UnusableInputError
from batchdigits.rows.arrays import ArrowLayout, check_batch, check_types, scaled
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import find_pixels
from batchdigits.rows.rejects import REASONS

NUMBER_TYPES = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64()),
    *(pa.decimal128(10, 3), pa.decimal256(12, 2)),
    pa.dictionary(pa.int8(), pa.int16()),
]


def batch_of(rows: list[list[object]], kind: pa.DataType | None = None) -> pa.RecordBatch:
    columns = {f"pixel_{i}": pa.array([row[i] for row in rows]) for i in range(64)}
    if kind is not None:
        columns = {name: as_type(column, kind) for name, column in columns.items()}
    return pa.record_batch({"id": pa.array(range(len(rows))), **columns})


def as_type(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return column.cast(kind.value_type).dictionary_encode()
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()).cast(kind)
    return column.cast(kind)


def check(batch: pa.RecordBatch, **options: object) -> Rows:
    pixels = find_pixels(batch.schema.names, None, "t")
    check_types(batch.schema, pixels, "t")
    kept = tuple(i for i, n in enumerate(batch.schema.names) if n not in pixels.names)
    layout = ArrowLayout(pixels, kept, batch.schema)
    return check_batch(batch, layout, ReadOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [0, 63])
@pytest.mark.parametrize("as_list", [False, True], ids=["columns", "list"])
def test_a_single_fraction_keeps_a_batch_in_floats(place: int, as_list: bool) -> None:
    rows = [[0.0] * 64 for _ in range(3)]
    rows[1][place] = 0.5
    batch = pa.record_batch({"pixels": pa.array(rows)}) if as_list else batch_of(rows)
    checked = check(batch)
    assert checked.pixels.dtype == np.float32
    assert np.array_equal(checked.pixels, np.array(rows))


@pytest.mark.parametrize("kind", NUMBER_TYPES, ids=str)
def test_every_number_type_gives_the_same_pixels(kind: pa.DataType) -> None:
    rows = [[(i + j) % 17 for i in range(64)] for j in range(5)]
    checked = check(batch_of(rows, kind))
    assert checked.pixels.dtype == np.uint8
    assert checked.pixels.flags.fnc
    assert np.array_equal(checked.pixels, np.array(rows))
    assert checked.rejects == ()


@pytest.mark.parametrize("kind", [pa.string(), pa.bool_(), pa.struct([("a", pa.int8())])], ids=str)
def test_columns_that_hold_no_numbers_are_refused_with_their_type(kind: pa.DataType) -> None:
    schema = pa.schema([(f"pixel_{i}", kind if i == 7 else pa.uint8()) for i in range(64)])
    with pytest.raises(UnusableInputError, match="1 pixel columns hold no numbers: pixel_7"):
        check_types(schema, find_pixels(schema.names, None, "t"), "t")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        (float("nan"), "not-finite"),
        (float("inf"), "not-finite"),
        (-float("inf"), "not-finite"),
        (-1.0, "out-of-range"),
        (16.000001, "out-of-range"),
        (1e300, "out-of-range"),
    ],
)
def test_a_value_that_is_no_pixel_costs_its_row_alone(value: float | None, reason: str) -> None:
    rows: list[list[object]] = [[1.0] * 64 for _ in range(3)]
    rows[1][9] = value
    checked = check(batch_of(rows))
    (reject,) = checked.rejects
    assert (reject.row, reject.reason, reject.column) == (1, reason, "pixel_9")
    assert checked.passthrough["id"].to_pylist() == [0, 2]
    assert checked.rejected["id"].to_pylist() == [1]
    assert checked.good is not None
    assert checked.good.tolist() == [0, 2]
    assert len(json.loads(reject.raw or "")) == 64


@pytest.mark.parametrize("value", [17, -1, 300, -(2**40), 2**40])
def test_integers_out_of_range_do_not_wrap_around(value: int) -> None:
    rows: list[list[object]] = [[2] * 64, [2] * 64]
    rows[0][63] = value
    (reject,) = check(batch_of(rows)).rejects
    assert (reject.reason, reject.value) == ("out-of-range", str(value))


def test_the_first_reason_in_the_documented_order_wins() -> None:
    rows: list[list[object]] = [[1.0] * 64, [1.0] * 64]
    rows[0][3], rows[0][5], rows[0][7] = 99.0, float("nan"), None
    (reject,) = check(batch_of(rows)).rejects
    assert (reject.reason, reject.column) == ("missing", "pixel_7")


def lists(values: list[object], kind: pa.DataType) -> pa.RecordBatch:
    return pa.record_batch({"id": pa.array(range(len(values))), "pixels": pa.array(values, kind)})


@pytest.mark.parametrize("kind", [pa.list_(pa.uint8()), pa.large_list(pa.float64())], ids=str)
def test_lists_of_another_length_and_null_lists_are_rejected(kind: pa.DataType) -> None:
    checked = check(lists([[1] * 64, [1] * 63, None, [2] * 64, [1] * 65, [3] * 63 + [None]], kind))
    assert [(r.row, r.reason) for r in checked.rejects] == [
        (1, "wrong-length"),
        (2, "missing"),
        (4, "wrong-length"),
        (5, "missing"),
    ]
    assert checked.pixels[:, 0].tolist() == [1, 2]
    assert checked.passthrough["id"].to_pylist() == [0, 3]
    assert checked.rejects[3].column == "pixels[63]"


def test_fixed_size_lists_work_from_a_slice_and_without_a_copy() -> None:
    kind = pa.list_(pa.uint8(), 64)
    whole = lists([[n] * 64 for n in range(8)], kind)
    checked = check(whole.slice(3, 4))
    assert checked.pixels[:, 5].tolist() == [3, 4, 5, 6]
    values = whole["pixels"].values.to_numpy()
    assert np.shares_memory(checked.pixels, values)


def test_fixed_size_lists_with_null_rows_reject_just_those() -> None:
    checked = check(lists([[1] * 64, None, [2] * 64], pa.list_(pa.uint8(), 64)))
    assert [(r.row, r.reason) for r in checked.rejects] == [(1, "missing")]
    assert checked.pixels[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("kind", [pa.list_(pa.uint8(), 49), pa.list_(pa.string()), pa.uint8()])
def test_a_pixels_column_that_can_hold_no_64_numbers_is_refused(kind: pa.DataType) -> None:
    schema = pa.schema([("pixels", kind)])
    with pytest.raises(UnusableInputError, match="'pixels'"):
        check_types(schema, find_pixels(["pixels"], None, "t"), "t")


@given(st.floats(0, 255), st.sampled_from([255.0, 1.0, 16.0, 100.0]))
def test_scale_is_the_documented_formula_in_float32(value: float, maximum: float) -> None:
    value = min(value, maximum)
    rows: list[list[object]] = [[value] * 64]
    expected = np.float32(value) * np.float32(16) / np.float32(maximum)
    checked = check(batch_of(rows), scale=maximum)
    assert checked.pixels.dtype == np.float32
    assert checked.pixels[0, 0] == expected == scaled(np.array([value]), maximum)[0]


def test_with_a_scale_the_range_is_up_to_the_scale() -> None:
    rows: list[list[object]] = [[255] * 64, [256] * 64]
    checked = check(batch_of(rows), scale=255.0)
    assert checked.pixels[0, 0] == 16.0
    assert [r.row for r in checked.rejects] == [1]


def test_decimals_are_judged_as_numbers() -> None:
    rows: list[list[object]] = [[decimal.Decimal("16.001")] * 64, [decimal.Decimal("0.5")] * 64]
    checked = check(batch_of(rows))
    assert [r.row for r in checked.rejects] == [0]
    assert checked.pixels[0, 0] == 0.5


@given(st.data())
def test_every_row_is_scorable_or_rejected(data: st.DataObject) -> None:
    """The ledger as a property: nothing is lost, doubled or reordered, whatever the values."""
    cell = st.one_of(st.none(), st.floats(width=64), st.integers(0, 16).map(float))
    bad = data.draw(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 63), cell), max_size=12))
    rows: list[list[object]] = [[float(j % 17)] * 64 for j in range(20)]
    for row, column, value in bad:
        rows[row][column] = value
    checked = check(batch_of(rows))
    rejected = [reject.row for reject in checked.rejects]
    good = list(range(20)) if checked.good is None else checked.good.tolist()
    assert sorted([*rejected, *good]) == list(range(20)) == list(range(checked.rows))
    assert rejected == sorted(rejected) == checked.rejected["id"].to_pylist()
    assert checked.passthrough["id"].to_pylist() == good
    assert all(reject.reason in REASONS for reject in checked.rejects)
    for index, row in enumerate(good):
        assert checked.pixels[index].tolist() == [np.float32(v) for v in rows[row]]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_raw_row_of_a_reject_is_json_whatever_its_values(value: float) -> None:
    """JSON has no word for what is not finite: it stands there as text."""

    def refuse(word: str) -> None:
        raise AssertionError(word)

    (reject,) = check(batch_of([[1.0] * 5 + [value] + [2.0] * 58])).rejects
    assert reject.reason == "not-finite"
    assert json.loads(reject.raw or "", parse_constant=refuse)[4:7] == [1.0, str(value), 2.0]


def test_bytes_stay_columns_beside_a_reject() -> None:
    """Which the onnx engine turns faster than numpy does."""
    rows = [[i % 17] * 64 for i in range(40)]
    rows[7] = [99] * 64
    checked = check(batch_of(rows, pa.uint8()))
    assert [reject.row for reject in checked.rejects] == [7]
    assert checked.pixels.flags.fnc
    assert checked.pixels[:, 3].tolist() == [i % 17 for i in range(40) if i != 7]


def _images(values: np.ndarray, kind: str) -> pa.Array:
    """Images (n, 64) as an array of lists of lists, or as tensors."""
    nested = values.reshape(-1, 8, 8).tolist()
    if kind == "tensor":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(values.reshape(-1, 8, 8))
    if kind == "flat tensor":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    types = {
        "list": pa.list_(pa.list_(pa.uint8())),
        "fixed": pa.list_(pa.list_(pa.uint8(), 8), 8),
        "mixed": pa.large_list(pa.list_(pa.float64(), 8)),
    }
    return pa.array(nested, types[kind])


@pytest.mark.parametrize("kind", ["list", "fixed", "mixed", "tensor", "flat tensor"])
@pytest.mark.parametrize("start", [0, 2])
def test_images_of_eight_rows_are_read(kind: str, start: int) -> None:
    values = np.arange(6 * 64).reshape(6, 64).astype(np.uint8) % 17
    batch = pa.record_batch({"id": range(6), "pixels": _images(values, kind)}).slice(start)
    checked = check(batch)
    assert np.array_equal(checked.pixels, values[start:])
    assert (checked.rejects, checked.rows) == ((), 6 - start)


@pytest.mark.parametrize("fixed", [False, True])
def test_images_with_faults_are_rejects_and_the_others_stay(fixed: bool) -> None:
    good = [[1] * 8] * 8
    bad: list[object] = [[*good[:7], [1, 2, None, *[1] * 5]], None, [*good[:7], [17, *[1] * 7]]]
    reasons = ["missing", "missing", "out-of-range"]
    if not fixed:
        bad += [good[:7], [*good[:7], [1] * 7], [*good[:7], None], [], [*good, [1] * 8]]
        reasons += ["wrong-length"] * 5
    rows = [row for each in bad for row in (each, good)]
    kind = pa.list_(pa.list_(pa.int16(), 8), 8) if fixed else pa.list_(pa.list_(pa.int16()))
    checked = check(pa.record_batch({"pixels": pa.array(rows, kind)}))
    assert [reject.reason for reject in checked.rejects] == reasons
    assert [reject.row for reject in checked.rejects] == list(range(0, len(rows), 2))
    assert checked.pixels.tolist() == [[1] * 64] * len(bad)
    assert checked.rejects[0].column == "pixels[58]"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (pa.list_(pa.list_(pa.uint8(), 28), 28), "images of 28x28 pixels"),
        (pa.list_(pa.uint8(), 784), "images of 28x28 pixels"),
        (pa.list_(pa.list_(pa.uint8(), 16), 4), "expected 64 values, or 8 lists of 8"),
        (pa.list_(pa.list_(pa.list_(pa.uint8(), 8), 8), 1), "expected 64 values, or 8 lists of 8"),
        (pa.fixed_shape_tensor(pa.uint8(), (28, 28)), "images of 28x28 pixels"),
        (pa.fixed_shape_tensor(pa.uint8(), (8, 8), permutation=[1, 0]), "expected 64 values"),
        (pa.list_(pa.list_(pa.string())), "expected a list of numbers"),
        (pa.binary(64), "expected a list of numbers"),
    ],
    ids=str,
)
def test_lists_of_other_shapes_are_refused(kind: pa.DataType, message: str) -> None:
    schema = pa.schema([("pixels", kind)])
    with pytest.raises(UnusableInputError, match=message):
        check_types(schema, find_pixels(["pixels"], None, "t"), "t")
