"""What flows: the contract between a source of rows and everything behind it.

A source yields blocks, cheaply and in the input's order, from one thread: `blocks()`. Turning a
block into checked rows is the dear part, is a pure function of the block, and may run in any
thread and in any order: `check(block)`. Numbers inside a checked block are offsets; whoever puts
the blocks back in order adds up `rows` and `lines` and so knows where on the file each stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from batchdigits.rows.rejects import Reject

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


Pixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"

BlockT = TypeVar("BlockT")


@dataclass(frozen=True, slots=True)
class Rows:
    """Checked rows: what can be scored, and what can't with the reason.

    pixels       uint8 or float32, shape (n, 64), every value finite and in 0..16; C-contiguous, or,
                 uint8 only, Fortran-contiguous
    passthrough  n rows: the input's other columns, in the input's order
    rejects      what was not scored, ascending by row
    rejected     their pass-through columns, one row a reject, same schema as `passthrough`
                 (null where the row had no such cell)
    rows         rows on the physical input: n + len(rejects)
    lines        lines on the physical input; 0 where it has none
    good         for each scorable row its offset among `rows`; None when nothing was rejected
    good_lines   for each scorable row the offset of its first line; None when that is its offset
                 among `rows`, and where there are no lines
    """

    pixels: Pixels
    passthrough: pa.RecordBatch
    rejects: tuple[Reject, ...]
    rejected: pa.RecordBatch
    rows: int
    lines: int = 0
    good: NDArray[np.int64] | None = None
    good_lines: NDArray[np.int64] | None = None


class Source(Protocol[BlockT]):
    """Rows of one input, once through, in the input's order.

    `schema` is that of the pass-through columns, `has_lines` whether rows stand on numbered
    lines, `first_line` the 1-based number of the line after the header. `expected_rows` is the
    count that the input itself states (a Parquet footer), None where it states none.

    `blocks()` may be called once. It raises UnusableInputError for damage that can't be laid on
    single rows; when it ends without an error, every byte of the input was read and every row
    was in exactly one block. `tail_lines` then counts the lines behind the last record that are
    no rows, and `expected_lines` all lines as they were counted on the bytes, header and tail
    included (0 where it has none). `verify(rows, lines)`, called after that with the rows and
    lines of all checked blocks, raises InternalError unless they account for the whole input.
    `progress()` is the part of the input's bytes (or rows) that was
    read, 0..1, or None where the whole is unknown. `close()` may be called at any time and more
    than once.
    """

    schema: pa.Schema
    has_lines: bool
    first_line: int
    expected_rows: int | None
    tail_lines: int

    @property
    def expected_lines(self) -> int: ...

    def blocks(self) -> Iterator[BlockT]: ...

    def check(self, block: BlockT) -> Rows: ...

    def verify(self, rows: int, lines: int) -> None: ...

    def progress(self) -> float | None: ...

    def close(self) -> None: ...


class Stream(Protocol):
    """What a sink writes to: a binary file, or anything with its `write`."""

    def write(self, data: Any, /) -> int: ...


class Sink(Protocol):
    """What takes the rows of one output file, in order."""

    def encode(self, batch: pa.RecordBatch) -> Any: ...

    def write(self, encoded: Any) -> None: ...

    def close(self) -> None: ...
