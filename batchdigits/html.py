"""HTML as text, with everything from outside escaped: elements and tables for reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def escaped(text: object) -> str:
    """Escape `<`, `>`, `&` and quotes, so that a browser shows the text as it is."""
    return escape(str(text), quote=True)


def element(name: str, *children: str, **attributes: object) -> str:
    """Return `<name attribute="value">children</name>`; children are HTML, values are escaped.

    An attribute that Python reserves ends in `_` (`class_`); other `_` become `-`.
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    written = "".join(f' {key}="{escaped(value)}"' for key, value in pairs)
    return f"<{name}{written}>{''.join(children)}</{name}>"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a table under a header, every cell escaped."""
    titles = (element("th", escaped(cell), scope="col") for cell in header)
    lines = (element("tr", *(element("td", escaped(cell)) for cell in row)) for row in rows)
    return element("table", element("thead", element("tr", *titles)), element("tbody", *lines))
