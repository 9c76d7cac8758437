"""The outputs of one input file: predictions and rejects, written to temporaries in order."""

from __future__ import annotations

from typing import Any, Self

import pyarrow as pa

from batchdigits.files.places.contract import Place
from batchdigits.files.streams import OutputStream
from batchdigits.files.written import WrittenFile
from batchdigits.rows.contract import Sink, Source
from batchdigits.rows.formats import check_schema, find_format
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.rows.rejects import REJECT_COLUMNS, reject_batch
from batchdigits.scoring.scorer import Scored, Scorer
from batchdigits.scoring.watch import Position
from batchdigits.threads import BackgroundWriter


def output_schema(source: Source[Any], scorer: Scorer, place: Place, name: str) -> pa.Schema:
    """Return the schema of the predictions of a source.

    Raises UnusableInputError for a pass-through column that has the name of an output column, or
    that the output's format can't hold.
    """
    refuse_reserved(source.schema.names, {*scorer.names, *REJECT_COLUMNS}, name)
    schema = scorer.schema(source.schema)
    check_schema(place.targets.kind, schema, name)
    return schema


class Outputs:
    """The temporaries of one input file: predictions, and rejects once there is one.

    With several `threads`, another thread writes. Leaving the context without `close()` discards
    what was written.
    """

    def __init__(
        self, place: Place, source: Source[Any], scorer: Scorer, *, name: str, threads: int
    ) -> None:
        self._place = place
        self._source = source
        self._name = name
        self._files: dict[str, tuple[OutputStream, Sink]] = {}
        schema = output_schema(source, scorer, place, name)
        self._predictions = self._open("predictions", schema, scorer.few_values)
        self._writer = BackgroundWriter(threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._writer.stop()
        for stream, _ in self._files.values():
            stream.abort()

    def encode(self, predictions: pa.RecordBatch) -> Any:
        """Encode a batch for `write`; safe to call from any thread."""
        return self._predictions.encode(predictions)

    def write(self, encoded: Any, scored: Scored, position: Position) -> None:
        """Append the predictions of a batch, which `encode` returned, and its rejects."""
        self._writer.call(self._predictions.write, encoded)
        if not scored.rejects:
            return
        first_line = self._source.first_line
        batch = reject_batch(
            scored.rejected,
            scored.rejects,
            input_name=self._name,
            first_row=position.row + 1,
            first_line=None if first_line is None else position.line + first_line,
        )
        sink = self._files["rejects"][1] if "rejects" in self._files else None
        sink = sink or self._open("rejects", batch.schema)
        self._writer.call(sink.write, sink.encode(batch))

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
