"""Record batches through a sink, as the bytes of the file."""

from __future__ import annotations

import io

import pyarrow as pa

from batchdigits.rows.formats import find_format


def written(kind: str, batches: list[pa.RecordBatch], few_values: tuple[str, ...] = ()) -> bytes:
    stream = io.BytesIO()
    sink = find_format(kind).open_sink(stream, batches[0].schema, few_values)
    for batch in batches:
        sink.write(sink.encode(batch))
    sink.close()
    return stream.getvalue()
