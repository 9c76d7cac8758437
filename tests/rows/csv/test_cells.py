"""Every cell has the code that its digits give, and quotes are counted right."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.csv.cells import NO_CODE, inside_quotes, tokenize


def test_every_cell_of_up_to_four_bytes_has_the_code_that_it_should():
    """All strings over digits, dot, quote, space and letters that decide between the codes."""
    cells = [bytes(c) for n in range(5) for c in product(b'059.:/ "', repeat=n) if c.count(34) < 1]
    for first in (b"7", b"7.0", b'"' * 64):  # the first line says which forms to look for
        lines = b"\n".join([first.replace(b'"', b""), *cells, b""])
        if b'"' in first:
            lines = b'"1",' * 63 + b'"1"\n' + b"".join(b'"%b"\n' % cell for cell in cells)
        b = np.frombuffer(lines, np.uint8)
        grid, _ = tokenize(lines, b",", 1, inside_quotes(b) if b'"' in lines else None)
        codes = grid.codes[:, 0].tolist()[-len(cells) :]
        for cell, code in zip(cells, codes, strict=True):
            whole = cell.removesuffix(b".0") if first == b"7.0" else cell
            plain = whole.isdigit() and len(whole) <= 2
            assert code == (int(whole) if plain else NO_CODE), (first, cell)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_inside_quotes_is_the_parity_of_the_quotes_so_far(data, quotes):
    data = data + b'"' * quotes + data
    expected = [data[: i + 1].count(b'"') % 2 == 1 for i in range(len(data))]
    assert inside_quotes(np.frombuffer(data, np.uint8)).tolist() == expected
