"""What one input leads to: predictions and rejects, written in order, as temporaries at first."""

from __future__ import annotations

from typing import Any, Self

import pyarrow as pa

from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import WrittenFile
from batchdigits.files.streams import OutputStream, open_output
from batchdigits.files.targets import Targets
from batchdigits.rows.contract import Sink, Source
from batchdigits.rows.formats import check_schema, open_sink
from batchdigits.rows.rejects import reject_batch
from batchdigits.scoring.ledger import Ledger
from batchdigits.scoring.scorer import Scored
from batchdigits.threads import Behind


class Outputs:
    """The temporaries of one input: predictions, and rejects from the first one on.

    `schema` is that of the predictions. With several `workers` a thread of its own writes.
    """

    def __init__(
        self, targets: Targets, source: Source[Any], schema: pa.Schema, name: str, workers: int
    ) -> None:
        self._targets = targets
        self._source = source
        self._name = name
        check_schema(targets.kind, schema, name)
        self._files: dict[str, tuple[OutputStream, Sink]] = {}
        self._predictions = self._open("predictions", schema)
        self._writing = Behind(workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._writing.stop()
        for stream, _ in self._files.values():
            stream.abort()

    def encode(self, predictions: pa.RecordBatch) -> Any:
        """A batch as `write_predictions` takes it; safe to call from any thread."""
        return self._predictions.encode(predictions)

    def write_predictions(self, encoded: Any) -> None:
        """Append what `encode` gave."""
        self._writing.call(self._predictions.write, encoded)

    def write_rejects(self, scored: Scored, before: Ledger) -> None:
        """Append the rejects of a batch, numbered by what the ledger counted before it."""
        if not scored.rejects:
            return
        batch = reject_batch(
            scored.rejected,
            scored.rejects,
            lines=self._source.has_lines,
            input_name=self._name,
            first_row=before.rows_in + 1,
            first_line=before.lines + self._source.first_line,
        )
        sink = self._sink("rejects", batch.schema)
        self._writing.call(sink.write, sink.encode(batch))

    def close(self) -> list[WrittenFile]:
        """Complete and fsync every temporary."""
        self._writing.wait()
        written = []
        for which, (stream, sink) in self._files.items():
            sink.close()
            stream.close()
            path = getattr(self._targets, which)
            written.append(WrittenFile(path, stream.digest(), stream.bytes_written))
        return written

    def _sink(self, which: str, schema: pa.Schema) -> Sink:
        return self._files[which][1] if which in self._files else self._open(which, schema)

    def _open(self, which: str, schema: pa.Schema) -> Sink:
        path = temporary_name(getattr(self._targets, which))
        stream = open_output(path, self._targets.compression)
        self._files[which] = stream, open_sink(self._targets.kind, stream, schema)
        return self._files[which][1]
