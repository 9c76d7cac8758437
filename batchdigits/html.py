"""HTML as text: escaped, one element inside another, tables. For pages that people look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def escaped(text: object) -> str:
    """Text from outside as HTML that shows it: `<`, `&` and quotes mean nothing any more."""
    return escape(str(text), quote=True)


def element(name: str, *children: str, **attributes: object) -> str:
    """`<name attribute="value">children</name>`; children are HTML already, values are escaped.

    An attribute that Python reserves ends in `_` (`class_`), a `_` inside becomes `-`.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    given = "".join(f' {key}="{escaped(value)}"' for key, value in pairs)
    return f"<{name}{given}>{''.join(children)}</{name}>"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Rows of text as a table under a header, every cell escaped."""
    titles = (element("th", escaped(cell), scope="col") for cell in header)
    lines = (element("tr", *(element("td", escaped(cell)) for cell in row)) for row in rows)
    return element("table", element("thead", element("tr", *titles)), element("tbody", *lines))
