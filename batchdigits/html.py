"""HTML as text, with everything from outside escaped: elements and tables for reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def table(
    header: Sequence[object], rows: Iterable[Sequence[object]], *, caption: object = ""
) -> str:
    """Return rows as a table under a header, every cell escaped."""
    above = element("caption", escaped(caption)) if caption else ""
    titles = (element("th", escaped(cell), scope="col") for cell in header)
    lines = (element("tr", *(element("td", escaped(cell)) for cell in row)) for row in rows)
    return element(
        "table", above, element("thead", element("tr", *titles)), element("tbody", *lines)
    )


def facts_table(caption: object, facts: Mapping[str, object]) -> str:
    """Return names and values as a table of two columns, every cell escaped."""
    lines = (
        element("tr", element("th", escaped(name), scope="row"), element("td", escaped(value)))
        for name, value in facts.items()
    )
    return element("table", element("caption", escaped(caption)), element("tbody", *lines))
