"""Lines are counted on the bytes, apart from the reader that makes rows of them."""

import io
import re

from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.csv.lines import LineCounter


class Stream(io.BytesIO):
    raw_bytes_read = 0
    raw_size = None


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", b'"'])), st.integers(1, 5))
def test_any_mix_of_line_ends_in_any_pieces_is_counted(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    counter = LineCounter(Stream(data))
    while counter.read(size):
        pass
    lines = re.split(rb"\r\n|\r|\n", data)
    assert counter.count == len(lines) - (lines[-1] == b"")
