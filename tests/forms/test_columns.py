"""The columns of rows made from pictures."""

import pyarrow as pa
import pytest

from batchdigits.forms.columns import CELLS, PAGES
from batchdigits.rows.memory import check_table
from batchdigits.rows.options import ReadOptions


@pytest.mark.parametrize("schema", [CELLS, PAGES])
def test_predict_finds_the_pixels_and_passes_the_other_columns_through(schema: pa.Schema) -> None:
    table = schema.empty_table()
    passed, _ = check_table(table, ReadOptions())
    assert passed.names == [name for name in schema.names if name != "pixels"]
