"""Golden rows: pixels in the bundle with the labels and probabilities that they must get."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import Classes
from batchdigits.engines.contract import Engine
from batchdigits.errors import BundleError, naming, unsound_bundle
from batchdigits.images import DARKEST, PIXELS
from batchdigits.rows.parquet.footer import check_footer
from batchdigits.rows.parquet.pages import pages_of

# Engines and processors differ by 1e-5 in float32; the mildest mistake, another scaler, moves some
# probability by more than 1e-2.
DEFAULT_TOLERANCE = 1e-4
LARGEST_TOLERANCE = 1e-2
MAX_ROWS = 4096

_TOLERANCE_KEY = b"tolerance"


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of replaying golden rows.

    rows          how many there are
    differing     how many differ; `wrong_labels` of them in their label
    worst         the largest difference of a probability; up to `tolerance` is allowed
    """

    rows: int
    differing: int
    wrong_labels: int
    worst: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class _Golden:
    """Golden rows as arrays."""

    pixels: NDArray[np.float32]
    labels: list[Any]
    probabilities: NDArray[np.float32]
    tolerance: float


def build_golden(
    pixels: NDArray[Any],
    labels: pa.Array,
    probabilities: NDArray[Any],
    tolerance: float = DEFAULT_TOLERANCE,
) -> bytes:
    """Build the bytes of `golden.parquet`.

    pixels         (m, 64), 0..16
    labels         m predicted labels, of the type of the bundle's classes
    probabilities  (m, k) as the onnx engine gave them
    tolerance      the largest difference of a probability that is allowed

    Raises BundleError for shapes that don't fit together or a tolerance out of range.
    """
    import pyarrow.parquet as pq

    rows, classes = probabilities.shape
    if pixels.shape != (rows, PIXELS) or len(labels) != rows or not 1 <= rows <= MAX_ROWS:
        raise BundleError(
            f"golden rows: {pixels.shape} pixels, {len(labels)} labels, {probabilities.shape} "
            f"probabilities, expected as many of each, 1 to {MAX_ROWS}"
        )
    _check_tolerance(tolerance)
    table = pa.table(
        [_list_column(pixels), labels, _list_column(probabilities)],
        schema=_schema(labels.type, classes).with_metadata({_TOLERANCE_KEY: repr(tolerance)}),
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def replay(engine: Engine, bundle: BundleFile) -> Replay:
    """Run the golden rows of `bundle` through `engine`.

    A row differs if a probability is off by more than the tolerance, or if the probability of its
    label is below the largest by more than twice the tolerance (within that, either label is
    right). Raises BundleError if any row differs, with the count and the worst difference.
    """
    result = count_differences(engine, bundle)
    if result.differing:
        raise BundleError(
            f"{bundle.path}: {result.differing} of {result.rows} golden rows differ with the "
            f"{engine.name} engine ({result.wrong_labels} in their label; worst difference "
            f"{result.worst:.3g}, allowed {result.tolerance:g}): don't use this bundle, rebuild it "
            "with train"
        )
    return result


def count_differences(engine: Engine, bundle: BundleFile) -> Replay:
    """Compare `engine` with the golden rows of `bundle`. BundleError if they can't be read."""
    classes = bundle.manifest.classes
    with naming(bundle.path):
        golden = _read_golden(bundle.members["golden.parquet"], classes)
    probabilities = engine.probabilities(golden.pixels)
    best, confidence = engine.most_probable(golden.pixels)
    chosen = golden.probabilities[np.arange(len(best)), best]
    worst = np.abs(probabilities - golden.probabilities).max(axis=1)
    worst = np.maximum(worst, np.abs(confidence - chosen))
    wrong_label = ~_is_label_right(golden, classes, probabilities)
    # The class that the engine calls best must be so in the golden row, within the same limit.
    wrong_label |= chosen < golden.probabilities.max(axis=1) - 2 * golden.tolerance
    # Negated, so that a NaN differs.
    differs = ~(worst <= golden.tolerance) | wrong_label
    return Replay(
        len(worst), int(differs.sum()), int(wrong_label.sum()), float(worst.max()), golden.tolerance
    )


def _is_label_right(
    golden: _Golden, classes: Classes, probabilities: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return for each row whether its label is the most probable class, within the limit."""
    indices = {value: index for index, value in enumerate(classes.values)}
    index = np.array([indices.get(label, -1) for label in golden.labels])
    chosen = probabilities[np.arange(len(index)), index]
    right: NDArray[np.bool_] = chosen >= probabilities.max(axis=1) - 2 * golden.tolerance
    return right & (index >= 0)


def _read_golden(data: bytes, classes: Classes) -> _Golden:
    import pyarrow.parquet as pq

    try:
        _check_size(data, classes)
        file = pq.ParquetFile(
            pa.BufferReader(data), pre_buffer=False, page_checksum_verification=True
        )
        _check_file(file, classes)
        check_footer(file.metadata, len(data))
        _check_pages(data, file.metadata, len(classes))
        table = file.read(use_threads=False)  # a few rows, and a thread may not be to be had
    except MemoryError:  # pyarrow's is an ArrowException too, but the bundle may be sound
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(f"golden.parquet can't be read: {error}") from error
    if table.num_rows != file.metadata.num_rows:  # some damage reads as no rows, without error
        raise unsound_bundle("golden.parquet is damaged")
    if any(column.null_count for column in table.columns):
        raise unsound_bundle("golden.parquet has empty cells")
    pixels = _matrix(table["pixels"], PIXELS)
    if not ((pixels >= 0) & (pixels <= DARKEST)).all():
        raise unsound_bundle("golden.parquet has pixels out of 0..16")
    return _Golden(
        pixels,
        table["label"].to_pylist(),
        _matrix(table["probabilities"], len(classes)),
        _parse_tolerance(table.schema.metadata),
    )


def _check_file(file: Any, classes: Classes) -> None:
    """Check schema and rows before any data is read."""
    schema = file.schema_arrow.remove_metadata()
    expected = _schema(classes.arrow_type(), len(classes))
    if schema != expected:
        raise BundleError(
            f"golden.parquet has columns {_columns_of(schema)}, expected {_columns_of(expected)}"
        )
    rows = file.metadata.num_rows
    if not 1 <= rows <= MAX_ROWS:
        raise BundleError(f"golden.parquet has {rows} rows, expected 1 to {MAX_ROWS} rows")


def _check_size(data: bytes, classes: Classes) -> None:
    """Refuse more bytes than the most golden rows have, so that the footer can't be a large one."""
    most = MAX_ROWS * (PIXELS + len(classes) + 64) * 8
    if len(data) > most:
        raise BundleError(
            f"golden.parquet has {len(data)} bytes, expected at most {most}, for {MAX_ROWS} rows"
        )


def _check_pages(data: bytes, metadata: Any, classes: int) -> None:
    """Check that every value is stored once and in full: what is decoded has no more bytes.

    Compressed pages, dictionaries and runs could make gigabytes of a few bytes.
    """
    widths = {"pixels": PIXELS, "label": 1, "probabilities": classes}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            pages = list(pages_of(memoryview(data), column))
            stored = {column.num_values, sum(page.values for page in pages)}
            plain = column.compression == "UNCOMPRESSED" and all(page.plain for page in pages)
            width = widths[column.path_in_schema.partition(".")[0]]
            if stored != {group.num_rows * width} or not plain:
                raise unsound_bundle(
                    f"golden.parquet stores {column.path_in_schema} in another way than train: "
                    "compressed, as a dictionary, or with other counts"
                )


def _schema(label: pa.DataType, classes: int) -> pa.Schema:
    return pa.schema(
        {
            "pixels": pa.list_(pa.float32(), PIXELS),
            "label": label,
            "probabilities": pa.list_(pa.float32(), classes),
        }
    )


def _columns_of(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _list_column(values: NDArray[Any]) -> pa.Array:
    flat = np.ascontiguousarray(values, np.float32).ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), values.shape[1])


def _matrix(column: pa.ChunkedArray, width: int) -> NDArray[np.float32]:
    # From the buffers: `to_numpy` imports pandas and `flatten` imports pyarrow.compute, together
    # half a second before the first row of every run.
    return np.concatenate([_chunk_matrix(chunk, width) for chunk in column.chunks])


def _chunk_matrix(chunk: pa.FixedSizeListArray, width: int) -> NDArray[np.float32]:
    if chunk.values.null_count:
        raise unsound_bundle("golden.parquet has empty cells")
    values: NDArray[np.float32] = np.frombuffer(chunk.values.buffers()[1], np.float32)
    begin = (chunk.offset * width) + chunk.values.offset
    return values[begin : begin + len(chunk) * width].reshape(-1, width)


def _parse_tolerance(metadata: dict[bytes, bytes] | None) -> float:
    text = (metadata or {}).get(_TOLERANCE_KEY, b"absent")
    try:
        tolerance = float(text)
    except ValueError as error:
        problem = f"golden.parquet: the tolerance is {text!r}, expected a number"
        raise unsound_bundle(problem) from error
    _check_tolerance(tolerance)
    return tolerance


def _check_tolerance(tolerance: float) -> None:
    if not (math.isfinite(tolerance) and 0 < tolerance <= LARGEST_TOLERANCE):
        raise unsound_bundle(
            f"golden rows: the tolerance is {tolerance}, expected at most {LARGEST_TOLERANCE}"
        )
