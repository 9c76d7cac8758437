"""Pass-through cells become compact Arrow text."""

from __future__ import annotations

import numpy as np
from csv_sources import bounds
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.csv.text import slices, text_column


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12)))
def test_text_columns_hold_each_cell_without_its_quotes(cells):
    """Quoted where CSV asks for it, empty cells included."""
    written = [
        b'"%b"' % cell.encode().replace(b'"', b'""')
        if '"' in cell or "," in cell
        else cell.encode()
        for cell in cells
    ]
    data, starts, ends = bounds(written)
    column = text_column(data, starts, ends, quotes=b'"' in data)
    column.validate(full=True)
    assert column.to_pylist() == cells


def test_slices_are_compact():
    """The array owns its few bytes and does not keep the whole block alive."""
    data = b"x" * 100_000 + b"ab,cd\n"
    starts = np.array([100_000, 100_003], np.int32)
    column = slices(data, starts, starts + 2)
    assert column.to_pylist() == ["ab", "cd"]
    assert column.get_total_buffer_size() < 1000
