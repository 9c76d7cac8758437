"""The files of `forms`: what is gathered in memory before it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.forms.pages.page_rows import REJECTS
from batchdigits.forms.publish import GROUP_BYTES, RowsFiles, plan_rows

SCHEMA = pa.schema([("file", pa.string()), ("image", pa.binary())])


def page(number: int) -> pa.RecordBatch:
    """A page of 130 characters, 0.1 MB like a real one."""
    images = [os.urandom(800) for _ in range(130)]
    return pa.record_batch([[f"{number}.tif"] * 130, images], schema=SCHEMA)


def reject(number: int) -> dict[str, object]:
    return {"file": f"{number}.tif", "page": 1, "field": None, "reason": "blank-page", "detail": ""}


@pytest.mark.parametrize(
    ("times", "append"),
    [
        (500, lambda files, number: files.write(page(number))),
        (6_000, lambda files, number: files.reject([reject(number)])),
    ],
    ids=["rows", "rejects"],
)
def test_the_memory_does_not_grow_with_the_pages(
    tmp_path: Path, times: int, append: Callable[[RowsFiles, int], None]
) -> None:
    """A batch of a single reject takes 5 KB, of which Arrow's pool sees 640 bytes."""
    place = plan_rows(str(tmp_path / "rows.parquet"), [])
    before = pa.total_allocated_bytes()
    most = 0
    with place.held(), RowsFiles(place, SCHEMA, REJECTS) as files:
        for number in range(times):
            append(files, number)
            most = max(most, pa.total_allocated_bytes() - before)
        written = files.close()
        place.publish(written, {}, overwrite=False)
    groups = sum(pq.read_metadata(each.path).num_row_groups for each in written)
    assert most < 2 * GROUP_BYTES
    assert 2 <= groups <= 1 + times // 30
