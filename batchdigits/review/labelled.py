"""The labelled rows that a review gives: what reviewers said the cells are, with their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from batchdigits.errors import UsageError
from batchdigits.evaluation.options import CHANCE, CHOSEN, DEFAULT_LABEL
from batchdigits.files.atomic import check_output, replace_file
from batchdigits.files.names import split_name
from batchdigits.images import PIXELS
from batchdigits.review.apply import Opened
from batchdigits.review.document import DOUBTFUL, SAMPLE
from batchdigits.rows.formats import find_format
from batchdigits.rows.rejects import written_name

COLUMNS = (DEFAULT_LABEL, CHOSEN, CHANCE, "decided_who", "decided_at", "source", "row")
"""The columns after the pixels."""


def labelled_rows(opened: Opened) -> pa.Table:
    """Return one row for each settled cell with a label, in the order of the files.

    `chance` is the probability with which the row was chosen for the review: 1 for a row in doubt
    (the others among these had none), the share of the accepted rows that were shown for a sample.
    """
    cells = opened.review.cells
    chosen = sorted(
        (cell for cell, decision in opened.merged.settled.items() if decision.value >= 0),
        key=lambda number: (cells[number].file, cells[number].place),
    )
    rows = [(cells[number], opened.merged.settled[number]) for number in chosen]
    accepted = sum(file.accepted for file in opened.review.files)
    sampled = sum(cell.kind == SAMPLE for cell in cells)
    chance = {DOUBTFUL: 1.0, SAMPLE: sampled / accepted if accepted else 1.0}
    pixels = [cell.pixels for cell, _ in rows]
    flat = np.concatenate([np.zeros(0, np.float32), *pixels]).astype(np.float32)
    values = {
        DEFAULT_LABEL: [opened.review.labels[decision.value] for _, decision in rows],
        CHOSEN: [cell.kind for cell, _ in rows],
        CHANCE: [chance[cell.kind] for cell, _ in rows],
        "decided_who": [written_name(",".join(decision.by)) for _, decision in rows],
        "decided_at": [decision.at for _, decision in rows],
        "source": [
            written_name(Path(opened.review.files[cell.file].path).name) for cell, _ in rows
        ],
        "row": [cell.row for cell, _ in rows],
    }
    kinds = {CHANCE: pa.float64(), "row": pa.int64()}
    columns = {name: pa.array(values[name], kinds.get(name, pa.string())) for name in COLUMNS}
    columns[DEFAULT_LABEL] = _typed(columns[DEFAULT_LABEL], opened.review.labels)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat), PIXELS)
    return pa.table({"pixels": lists, **columns})


def check_rows_output(name: str, *, overwrite: bool) -> Path:
    """Check, before any work, that labelled rows can be written to a file; return its path.

    Raises UsageError for a name of no format, OutputError for one that can't be written.
    """
    _, kind, compression = split_name(name)
    if kind is None or compression is not None:
        raise UsageError(f"--output {name!r}: expected a file name that ends in .parquet or .csv")
    return check_output(name, overwrite=overwrite, suffix=name[name.rindex(".") :])


def write_rows(table: pa.Table, path: Path) -> None:
    """Write labelled rows as the file's suffix says, CSV with a column for each pixel."""
    import io

    _, kind, _ = split_name(path.name)
    if kind == "csv":
        flat = table["pixels"].combine_chunks().flatten().to_numpy().reshape(-1, PIXELS)
        pixels = {f"pixel_{i}": pa.array(np.ascontiguousarray(flat[:, i])) for i in range(PIXELS)}
        table = pa.table({**pixels, **{name: table[name] for name in COLUMNS}})
    stream = io.BytesIO()
    sink = find_format(str(kind)).open_sink(stream, table.schema, (DEFAULT_LABEL, CHOSEN))
    for batch in table.to_batches():
        sink.write(sink.encode(batch))
    sink.close()
    replace_file(path, stream.getvalue(), mode=0o600)


def _typed(labels: pa.Array, classes: Sequence[str]) -> pa.Array:
    """Return labels as int64 if all classes are whole numbers, else as text."""
    try:
        pa.array(classes).cast(pa.int64())
    except pa.ArrowInvalid:
        return labels
    return labels.cast(pa.int64())
