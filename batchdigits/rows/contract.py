"""The contract between a source of rows, the pipeline behind it, and the sinks at its end.

A source yields blocks: cheaply, in the order of the file, from one thread. `check` turns a block
into checked rows: that is expensive, depends on nothing but the block, and may run in any thread
and in any order. Numbers inside a checked block are offsets; whoever puts the blocks back in order
adds up `rows` and `lines`, and so knows where each row is in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from batchdigits.files.names import InputFile
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.rejects import Reject

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


Pixels: TypeAlias = "NDArray[np.uint8] | NDArray[np.float32]"

BlockT = TypeVar("BlockT")


@dataclass(frozen=True, slots=True)
class Rows:
    """Checked rows: those that can be scored, and the rejects with their reasons.

    pixels       uint8 or float32, shape (n, 64), every value finite and in 0..16; C-contiguous, or,
                 uint8 only, Fortran-contiguous
    passthrough  n rows: the input's other columns, in the input's order
    rejects      the rows that can't be scored, ascending by row
    rejected     the pass-through columns of the rejects, same schema as `passthrough`
                 (null where the row had no such cell)
    rows         rows of the physical file: n + len(rejects)
    lines        lines of the physical file; 0 where it has none
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

    @property
    def offsets(self) -> NDArray[np.int64]:
        """For each scorable row its offset among `rows`, shape (n,)."""
        import numpy as np

        return np.arange(self.rows) if self.good is None else self.good


class Source(Protocol[BlockT]):
    """The reader of one input file: its rows once through, in their order.

    schema             the pass-through columns
    first_line         the 1-based number of the line after the header; None without lines
    expected_rows      the number of rows that the file itself states (a Parquet footer); else None
    blocks()           the blocks; may be called once. Raises UnusableInputError for damage that
                       can't be assigned to single rows. When it ends without an error, every byte
                       was read and every row was in exactly one block
    check(block)       the checked rows of a block
    verify(rows,       called after the last block with the rows and lines of all checked blocks:
      lines)           raises InternalError unless they account for the whole file
    progress()         the part of the file's bytes (or rows) that was read, 0..1; None if unknown
    digest()           `sha256:…` of the file's bytes, known after the last block
    verify_unchanged() raises TryAgainError if the file is no longer the one that was opened
    close()            may be called at any time and more than once
    """

    schema: pa.Schema
    first_line: int | None
    expected_rows: int | None

    def blocks(self) -> Iterator[BlockT]: ...

    def check(self, block: BlockT) -> Rows: ...

    def verify(self, rows: int, lines: int) -> None: ...

    def progress(self) -> float | None: ...

    def digest(self) -> str: ...

    def verify_unchanged(self) -> None: ...

    def close(self) -> None: ...


class Stream(Protocol):
    """The target of a sink: a binary file, or anything with its `write`."""

    def write(self, data: Any, /) -> int: ...


class Sink(Protocol):
    """The writer of one output file.

    `encode` depends on nothing but its batch and may run in any thread; `write` takes its results
    in order, in one thread. `close` completes the file and leaves the stream open.
    """

    def encode(self, batch: pa.RecordBatch) -> Any: ...

    def write(self, encoded: Any) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Format:
    """The functions of one file format, which `rows/NAME/format.py` defines.

    open_source   opens an input file whose content `check_content` has accepted
    open_sink     opens an output file of rows with that schema; the names are those of columns
                  whose values repeat a lot, which some formats store smaller for that
    unwritable    the columns of a schema that the format can't hold
    read_columns  some columns of an output file, batch by batch. Raises pyarrow's exceptions,
                  OSError or ValueError for a file that can't be read
    read_schema   the schema of an output file; raises as read_columns
    cell_bytes    bytes of a cell of an output file, on average
    is_text       whether every pass-through cell is text, without a type of its own
    """

    open_source: Callable[[InputFile, ReadOptions, Machine], Source[Any]]
    open_sink: Callable[[Stream, pa.Schema, Collection[str]], Sink]
    unwritable: Callable[[pa.Schema], Sequence[pa.Field]]
    read_columns: Callable[[Path, Sequence[str]], Iterator[pa.RecordBatch]]
    read_schema: Callable[[Path], pa.Schema]
    cell_bytes: int
    is_text: bool
