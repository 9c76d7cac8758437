from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.archive.classes import Classes
from batchdigits.engines.contract import MostProbable, most_probable
from batchdigits.engines.golden import DEFAULT_TOLERANCE, build_golden, count_differences, replay
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.engines.open import replay_bundle
from batchdigits.errors import BundleError

CLASSES = [
    Classes("int64", (0, 1, 2)),
    Classes("string", ("null", "eins", "zwei")),
    Classes("bool", (False, True)),
    Classes("double", (0.5, 1.5, 2.5)),
]


@pytest.mark.parametrize("classes", CLASSES, ids=lambda classes: classes.type)
def test_a_good_bundle_replays_its_golden_rows(classes: Classes, bundle_maker: Any) -> None:
    """Labels of any type, probabilities to the last bit."""
    bundle = bundle_maker(classes)
    result = replay_bundle(bundle)
    assert (result.rows, result.differing, result.worst) == (40, 0, 0.0)
    assert result.tolerance == DEFAULT_TOLERANCE


@pytest.mark.parametrize("classes", CLASSES, ids=lambda classes: classes.type)
def test_permuted_classes_are_caught(classes: Classes, bundle_maker: Any) -> None:
    """The probabilities are right and every label is wrong."""
    bundle = bundle_maker(Classes(classes.type, classes.values[::-1]), golden_classes=classes)
    result = count_differences(OnnxEngine(bundle.members["model.onnx"], len(classes)), bundle)
    assert result.worst == 0.0
    assert 0 < result.wrong_labels == result.differing
    with pytest.raises(BundleError, match="golden rows differ with the onnx engine"):
        replay_bundle(bundle)


def test_another_network_is_caught(bundle_maker: Any, model_maker: Any) -> None:
    """With the count, the worst difference, the tolerance and the fix."""
    bundle = bundle_maker(model__onnx=model_maker(3, seed=5).SerializeToString())
    told = (
        r"4\d? of 40 golden rows.*worst difference 0\.\d+, allowed 0\.0001.*rebuild it with train"
    )
    with pytest.raises(BundleError, match=told):
        replay_bundle(bundle)


def test_labels_of_another_bundle_are_caught(bundle_maker: Any) -> None:
    """Values that are no class at all."""
    bundle = bundle_maker(golden_classes=Classes("int64", (7, 8, 9)))
    with pytest.raises(BundleError, match="40 in their label"):
        replay_bundle(bundle)


class FixedEngine:
    """An engine that gives what it was told to."""

    name = "fixed"

    def __init__(self, result: np.ndarray) -> None:
        self.result = result
        self.classes = result.shape[1]

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        return self.result

    def most_probable(self, pixels: np.ndarray) -> MostProbable:
        return most_probable(self.probabilities(pixels))


def golden_bundle(bundle_maker: Any, probabilities: Any, labels: Any, **options: Any) -> Any:
    kept = np.array(probabilities, np.float32)
    golden = build_golden(np.zeros((len(kept), 64)), pa.array(labels), kept, **options)
    return bundle_maker(golden__parquet=golden)


def test_a_difference_counts_from_the_tolerance_on(bundle_maker: Any) -> None:
    """Just inside it is none, just outside it is one."""
    kept = np.array([[0.7, 0.2, 0.1]], np.float32)
    bundle = golden_bundle(bundle_maker, kept, [0], tolerance=0.001)
    assert count_differences(FixedEngine(kept + np.float32(0.0009)), bundle).differing == 0
    assert count_differences(FixedEngine(kept + np.float32(0.0011)), bundle).differing == 1


def test_of_two_classes_that_are_as_probable_either_is_right(bundle_maker: Any) -> None:
    """Another machine's rounding may prefer the other one; a third class is wrong."""
    kept = [[0.45, 0.45, 0.1]]
    found = FixedEngine(np.array([[0.45001, 0.44999, 0.1]], np.float32))
    assert count_differences(found, golden_bundle(bundle_maker, kept, [1])).differing == 0
    assert count_differences(found, golden_bundle(bundle_maker, kept, [0])).differing == 0
    assert count_differences(found, golden_bundle(bundle_maker, kept, [2])).differing == 1


def test_a_probability_that_is_no_number_differs(bundle_maker: Any) -> None:
    """NaN compares false with everything, and must not pass by that."""
    kept = [[0.7, 0.2, 0.1]]
    bundle = golden_bundle(bundle_maker, kept, [0])
    with pytest.raises(BundleError, match="1 of 1 golden rows"):
        replay(FixedEngine(np.full((1, 3), np.nan, np.float32)), bundle)
    with pytest.raises(BundleError, match="1 of 1 golden rows"):
        replay(
            FixedEngine(np.array(kept, np.float32)),
            golden_bundle(bundle_maker, [[np.nan] * 3], [0]),
        )


def test_the_same_rows_give_the_same_bytes() -> None:
    """So that the bundle is reproducible."""
    rows = (np.zeros((2, 64), np.uint8), pa.array([0, 1]), np.full((2, 3), 1 / 3))
    assert build_golden(*rows) == build_golden(*rows)


def test_any_parquet_reader_reads_it() -> None:
    """Columns, types and the tolerance stand as the documentation says."""
    data = build_golden(np.full((2, 64), 16), pa.array(["a", "b"]), np.eye(2), tolerance=0.002)
    table = pq.read_table(io.BytesIO(data))
    assert table.to_pydict() == {
        "pixels": [[16.0] * 64] * 2,
        "label": ["a", "b"],
        "probabilities": [[1.0, 0.0], [0.0, 1.0]],
    }
    assert table.schema.metadata[b"tolerance"] == b"0.002"


@pytest.mark.parametrize(
    ("rows", "labels", "probabilities"),
    [((2, 64), 3, (2, 3)), ((2, 63), 2, (2, 3)), ((2, 64), 2, (3, 3)), ((0, 64), 0, (0, 3))],
)
def test_rows_that_do_not_fit_together_are_refused(
    rows: tuple[int, int], labels: int, probabilities: tuple[int, int]
) -> None:
    """When they are written, not when they are read."""
    with pytest.raises(BundleError, match="as many of each"):
        build_golden(np.zeros(rows), pa.array([0] * labels, pa.int64()), np.zeros(probabilities))


@pytest.mark.parametrize("tolerance", [0, -1, 0.1, np.nan, np.inf])
def test_a_tolerance_that_lets_anything_pass_is_refused(tolerance: float) -> None:
    """Up to one hundredth goes."""
    with pytest.raises(BundleError, match="tolerance"):
        build_golden(np.zeros((1, 64)), pa.array([0]), np.eye(3)[:1], tolerance)


def parquet(table: pa.Table, metadata: dict[str, str] | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    options = {"compression": "none", "use_dictionary": False, **options}
    pq.write_table(table.replace_schema_metadata(metadata), sink, **options)
    return sink.getvalue()


def good_columns(**changes: Any) -> pa.Table:
    columns = {
        "pixels": pa.array([[0.0] * 64], pa.list_(pa.float32(), 64)),
        "label": pa.array([0], pa.int64()),
        "probabilities": pa.array([[0.7, 0.2, 0.1]], pa.list_(pa.float32(), 3)),
    }
    return pa.table({**columns, **changes})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"no parquet", "can't be read"),
        (parquet(good_columns()), "tolerance is b'absent'"),
        (parquet(good_columns(), {"tolerance": "0.5"}), "tolerance is 0.5"),
        (parquet(good_columns(), {"tolerance": "nan"}), "tolerance is nan"),
        (parquet(good_columns(label=pa.array(["0"]))), "label string, .*expected .*label int64"),
        (parquet(good_columns(label=pa.array([None], pa.int64()))), "empty cells"),
        (parquet(good_columns(extra=pa.array([1]))), "extra int64"),
        (parquet(good_columns().slice(0, 0)), "has 0 rows"),
        (parquet(pa.concat_tables([good_columns()] * 4097)), "has 4097 rows"),
        (
            parquet(good_columns(pixels=pa.array([[17.0] * 64], pa.list_(pa.float32(), 64)))),
            "out of 0..16",
        ),
        (
            parquet(good_columns(pixels=pa.array([[None] * 64], pa.list_(pa.float32(), 64)))),
            "empty cells",
        ),
    ],
)
def test_golden_rows_that_are_not_as_they_should_be_are_refused(
    data: bytes, told: str, bundle_maker: Any
) -> None:
    """The bundle is named, and what is wrong."""
    bundle = bundle_maker(golden__parquet=data)
    with pytest.raises(BundleError, match=rf"digits-1\.bundle: golden.*{told}"):
        replay_bundle(bundle)


def test_a_flipped_bit_in_a_page_is_noticed(bundle_maker: Any) -> None:
    """Golden rows carry page checksums: no flipped bit becomes another probability unseen."""
    data = build_golden(np.full((9, 64), 7), pa.array([0] * 9), np.eye(3)[[0] * 9])
    damaged = bytearray(data)
    damaged[data.index(np.full(64, 7, np.float32).tobytes())] ^= 1
    with pytest.raises(BundleError, match=r"golden\.parquet can't be read: .*CRC"):
        count_differences(
            FixedEngine(np.eye(3)[[0] * 9]), bundle_maker(golden__parquet=bytes(damaged))
        )


RUN = 1 << 22
LISTS = pa.list_(pa.float32())


def run_of(values: pa.Array, **options: Any) -> bytes:
    """One row with a list of `values` under a schema that promises 64 of them."""
    promised = base64.b64encode(good_columns().schema.serialize()).decode()
    pixels = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    table = good_columns(pixels=pixels)
    return parquet(table, {"ARROW:schema": promised}, **options)


def forged(data: bytes) -> bytes:
    """The same file with a footer that tells of 64 values where the page has `RUN`."""
    zigzag, count = RUN << 1, bytearray()
    while zigzag >= 0x80:
        count.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    count.append(zigzag)
    pages, size = data[:-8], int.from_bytes(data[-8:-4], "little")
    body, footer = pages[:-size], pages[-size:]
    assert bytes(count) in footer
    footer = footer.replace(bytes(count), b"\x80\x01")
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


ZEROS, NOTHING = pa.array(np.zeros(RUN, np.float32)), pa.nulls(RUN, pa.float32())
LONG_LABELS = good_columns(label=pa.array(["x" * (1 << 20)])).take([0] * 200)
BOMBS = {
    "a run of nulls": lambda: run_of(NOTHING),
    "a run in a dictionary": lambda: run_of(ZEROS, use_dictionary=True),
    "a compressed run": lambda: run_of(ZEROS, compression="zstd"),
    "a run that the footer hides": lambda: forged(run_of(NOTHING, write_statistics=False)),
    "a long label many times": lambda: parquet(LONG_LABELS, use_dictionary=True),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_golden_rows_take_no_more_memory_than_their_file(bomb: str, bundle_maker: Any) -> None:
    """A few kilobytes could make gigabytes; they are refused before a value is decoded."""
    data = BOMBS[bomb]()
    labels = Classes("string", ("a", "b", "c")) if "label" in bomb else CLASSES[0]
    bundle = bundle_maker(labels, golden__parquet=data)
    before = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)  # counts from nothing
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(BundleError, match=r"golden\.parquet stores"):
            replay_bundle(bundle)
    finally:
        pa.set_memory_pool(before)
    assert pool.max_memory() < 1 << 20
