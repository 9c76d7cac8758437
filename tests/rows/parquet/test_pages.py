"""Page headers tell how many values the decoder will make, whatever the footer says."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.parquet.pages import pages_of

TABLE = pa.table({"a": np.arange(10_000) % 7, "b": ["text"] * 9_999 + [None]})


def written(**options: Any) -> tuple[memoryview, pq.FileMetaData]:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, data_page_size=4096, **options)
    return memoryview(sink.getvalue()), pq.read_metadata(sink)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_the_pages_have_all_values(version: str, compression: str, dictionary: bool) -> None:
    """Of both versions of pages, with and without a dictionary, checksums and statistics."""
    data, metadata = written(
        data_page_version=version,
        compression=compression,
        use_dictionary=dictionary,
        write_page_checksum=True,
    )
    for column in map(metadata.row_group(0).column, range(2)):
        pages = list(pages_of(data, column))
        first = pages[0].values if dictionary else 0
        assert sum(page.values for page in pages) - first == 10_000
        assert all(page.plain for page in pages) == (not dictionary and version == "1.0")


@given(st.binary(max_size=40))
def test_what_is_no_page_is_refused(noise: bytes) -> None:
    """As a ValueError, or as a page that claims something: never another error, never endless."""
    data, metadata = written(compression="none", use_dictionary=False)
    column = metadata.row_group(0).column(0)
    at = column.data_page_offset
    damaged = memoryview(bytes(data[:at]) + noise + bytes(data[at + len(noise) :]))
    with contextlib.suppress(ValueError):
        assert len(list(pages_of(damaged, column))) <= column.num_values
