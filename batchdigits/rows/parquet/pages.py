"""The headers of a Parquet file's pages: how many values the decoder will make of each page.

The decoder goes by the pages, whatever the footer says, and one byte of a page can stand for any
number of values. So a file that must not take more memory than it has bytes is looked through
first. Page headers are structs in Thrift's compact protocol, with the field numbers of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

_DATA_PAGE, _DICTIONARY_PAGE, _DATA_PAGE_V2 = 0, 2, 3
_HEADER_OF = {_DATA_PAGE: 5, _DICTIONARY_PAGE: 7, _DATA_PAGE_V2: 8}
_ENCODING_OF = {_DATA_PAGE: 2, _DICTIONARY_PAGE: 2, _DATA_PAGE_V2: 4}
_PLAIN = 0
_INDEXED = (2, 8)

_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its values, empty cells included, and whether it stores each of them in full.

    size        the bytes of its content without compression
    dictionary  whether its values are those that other pages refer to
    indexed     whether it refers to those, in place of storing values
    start       where its content begins in the file; it takes `stored` bytes there
    """

    values: int
    plain: bool
    size: int = 0
    dictionary: bool = False
    start: int = 0
    stored: int = 0
    indexed: bool = False


class Bytes(Protocol):
    """The bytes of a file by their place. Raises a LookupError behind the end."""

    def __getitem__(self, at: int, /) -> int: ...


def pages_of(data: Bytes, column: Any) -> Iterator[Page]:
    """Yield the pages of a column chunk in `data`, a whole file, until its values are complete.

    column  its `ColumnChunkMetaData`

    Raises ValueError for bytes that are no pages.
    """
    offset = column.data_page_offset
    if column.has_dictionary_page:
        offset = min(offset, column.dictionary_page_offset)
    left = column.num_values
    while left > 0:
        try:
            header, offset = _struct(data, offset, 0)
            kind, size, stored = header[1], header[2], header[3]
            facts = header[_HEADER_OF[kind]]
            values, encoding = facts[1], facts[_ENCODING_OF[kind]]
        except (LookupError, TypeError) as error:
            raise ValueError("damaged page headers") from error
        if min(stored, values, size) < 0:
            raise ValueError("damaged page headers")
        plain, dictionary = kind == _DATA_PAGE and encoding == _PLAIN, kind == _DICTIONARY_PAGE
        yield Page(values, plain, size, dictionary, offset, stored, encoding in _INDEXED)
        offset += stored
        left -= 0 if kind == _DICTIONARY_PAGE else max(values, 1)


def page_end(data: bytes) -> int | None:
    """The length of the page that `data` begins with, header included; None for no such page."""
    try:
        header, end = _struct(data, 0, 0)
        stored = header[3]
    except (LookupError, TypeError, ValueError):
        return None
    return end + stored if isinstance(stored, int) and stored >= 0 else None


def _struct(data: Bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Decode the struct at `at`: its numbers and inner structs by field, and where it ends."""
    if depth > _DEEPEST:
        raise ValueError("damaged page headers")
    fields: dict[int, Any] = {}
    number = 0
    while data[at]:
        step, kind = data[at] >> 4, data[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _whole(data, at)
        fields[number], at = _value(data, at, kind, depth)
    return fields, at + 1


def _value(data: Bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2):  # true and false, without a byte of their own
        return kind == 1, at
    if kind in (4, 5, 6):
        return _whole(data, at)
    if kind == 8:  # text: the least and the largest value
        length, at = _varint(data, at)
        return None, at + length
    if kind == 12:
        return _struct(data, at, depth + 1)
    raise ValueError("damaged page headers")


def _whole(data: Bytes, at: int) -> tuple[int, int]:
    """Decode a signed number, which is stored as 0, -1, 1, -2, …."""
    value, at = _varint(data, at)
    return value >> 1 ^ -(value & 1), at


def _varint(data: Bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("damaged page headers")
