"""A record of JSON compared with the table on a page that lists its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pages import Row, code

JSON_TYPES: dict[str, Any] = {
    "text": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "list": list,
    "null": type(None),
    "any": object,
}


def check_fields(rows: list[Row], record: dict[str, Any], *leaves: str) -> None:
    """Assert that the table lists exactly the fields of the record, in order, with their types."""
    written = dict(fields_of(record, {"reasons", *leaves}))
    documented = {code(row[0]): row[1] for row in rows}
    parents = {name.rpartition(".")[0].removesuffix("[]") for name in documented}
    assert list(documented) == [n for n in written if n in documented or n not in parents]
    for name, words in documented.items():
        types = [JSON_TYPES[word] for word in words.split(" or ")]
        assert any(isinstance(written[name], kind) for kind in types), name


def fields_of(
    record: dict[str, Any], leaves: set[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a record's fields; a list of records counts by its first.

    `leaves` are objects whose keys are data, or are described in words.
    """
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield prefix + name, value
            yield from fields_of(value[0], leaves, f"{prefix}{name}[].")
        elif isinstance(value, dict) and name not in leaves:
            yield prefix + name, value
            yield from fields_of(value, leaves, f"{prefix}{name}.")
        else:
            yield prefix + name, value
