"""The outputs of one input file: predictions and rejects, written to temporaries in order."""

from __future__ import annotations

from typing import Any, Self

import pyarrow as pa

from batchdigits.errors import UnusableInputError
from batchdigits.files.places.contract import Place
from batchdigits.files.streams import OutputStream
from batchdigits.files.targets import Targets
from batchdigits.files.written import WrittenFile
from batchdigits.rows.contract import Sink
from batchdigits.rows.formats import find_format
from batchdigits.rows.rejects import REJECT_COLUMNS, Reject, reject_batch
from batchdigits.scoring.columns import PredictionColumns
from batchdigits.scoring.scorer import Scored
from batchdigits.scoring.watch import Position
from batchdigits.threads import BackgroundWriter

SHOWN = 60  # characters of a cell in a message


def is_kept(targets: Targets) -> bool:
    """Return whether the rejects are those of an input file of which no row could be scored.

    They have neither predictions nor a receipt, and the columns of rejects.
    """
    if targets.predictions.exists() or targets.receipt.exists() or not targets.rejects.is_file():
        return False
    columns = [name for name in REJECT_COLUMNS if name != "line"]
    try:
        next(find_format(targets.kind).read_columns(targets.rejects, columns))
    except (pa.ArrowException, OSError, ValueError, KeyError, StopIteration):
        return False
    return True


def _shortened(text: str | None) -> str:
    return repr(text if text is None or len(text) <= SHOWN else f"{text[:SHOWN]} …")


class Outputs:
    """The temporaries of one input file: predictions, and rejects once there is one.

    With several `threads`, another thread writes. Leaving the context without `close()` discards
    what was written.
    """

    def __init__(
        self,
        columns: PredictionColumns,
        place: Place,
        *,
        first_line: int | None,
        name: str,
        threads: int,
    ) -> None:
        self._columns = columns
        self._place = place
        self._first_line = first_line
        self._name = name
        self._files: dict[str, tuple[OutputStream, Sink]] = {}
        self._predictions = self._open("predictions", columns.schema, columns.few_values)
        self._writer = BackgroundWriter(threads)
        self._examples: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._writer.stop()
        for stream, _ in self._files.values():
            stream.abort()

    def encode(self, scored: Scored) -> Any:
        """Encode a batch for `write`; safe to call from any thread.

        Rows that are numbered wait for their numbers: then this returns None, and `write` encodes.
        """
        if self._columns.numbered:
            return None
        return self._encoded(self._predictions, self._columns.batch(scored, 0))

    def write(self, encoded: Any, scored: Scored, position: Position) -> None:
        """Append the predictions of a batch, which `encode` returned, and its rejects."""
        if self._columns.numbered:
            self._writer.call(self._write_numbered, (scored, position.row + 1))
        else:
            self._writer.call(self._predictions.write, encoded)
        if not scored.rejects:
            return
        first_line = self._first_line
        batch = reject_batch(
            scored.rejected,
            scored.rejects,
            input_name=self._name,
            first_row=position.row + 1,
            first_line=None if first_line is None else position.line + first_line,
        )
        sink = self._files["rejects"][1] if "rejects" in self._files else None
        sink = sink or self._open("rejects", batch.schema)
        self._writer.call(sink.write, self._encoded(sink, batch))
        for reject in scored.rejects:
            if reject.reason not in self._examples:
                self._examples[reject.reason] = self._described(reject, position)

    def example(self, reason: str) -> str:
        """Describe the first reject with a reason that was written."""
        return self._examples[reason]

    def _described(self, reject: Reject, position: Position) -> str:
        place = f"row {position.row + reject.row + 1}"
        if self._first_line is not None:
            place = f"line {self._first_line + position.line + (reject.line or 0)}"
        if reject.column is not None:
            return f"{place}, {reject.column} is {_shortened(reject.value)}"
        return place if reject.raw is None else f"{place}, {_shortened(reject.raw)}"

    def _encoded(self, sink: Sink, batch: pa.RecordBatch) -> Any:
        try:
            return sink.encode(batch)
        except UnusableInputError as error:
            raise UnusableInputError(f"{self._name}: {error}") from error

    def _write_numbered(self, batch: tuple[Scored, int]) -> None:
        self._predictions.write(self._encoded(self._predictions, self._columns.batch(*batch)))

    def close(self) -> list[WrittenFile]:
        """Complete and fsync every temporary."""
        self._writer.wait()
        written = []
        for role, (stream, sink) in self._files.items():
            sink.close()
            stream.close()
            path = getattr(self._place.targets, role)
            written.append(WrittenFile(path, stream.digest(), stream.bytes_written, stream.inode))
        return written

    def _open(self, role: str, schema: pa.Schema, few_values: frozenset[str] = frozenset()) -> Sink:
        stream = self._place.open(getattr(self._place.targets, role))
        sink = find_format(self._place.targets.kind).open_sink(stream, schema, few_values)
        self._files[role] = stream, sink
        return sink
