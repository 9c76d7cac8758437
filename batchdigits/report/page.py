"""One page that opens offline and everywhere: no script, no request, readable without its CSS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from batchdigits._version import __version__
from batchdigits.errors import OutputError
from batchdigits.files.atomic import check_output, replace_file
from batchdigits.files.plain import read_small
from batchdigits.html import element, escaped

LONGEST_TEXT = 120
"""Characters of a text from outside that a page shows."""

_CSS = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}
h2{font-size:1.15rem;margin:2.2rem 0 .4rem;border-bottom:1px solid #7a828c55}
p.lead{font-size:1.1rem}
div.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.6rem 0}
caption{text-align:left;color:#7a828c}
th,td{padding:.2rem .8rem .2rem 0;text-align:left;vertical-align:top;font-weight:400}
thead th{border-bottom:1px solid #7a828c;font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{color:#7a828c;font-size:.85em}
svg{max-width:100%}
table svg{width:8rem;height:.8rem}
table svg.digit{width:auto;height:auto}
ul.digits{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.8rem}
ul.digits li{width:8rem;font-size:.8rem;line-height:1.3;overflow-wrap:anywhere}
ul.digits svg{display:block}
.row{display:flex;flex-wrap:wrap;gap:2rem}
footer{margin-top:3rem;color:#7a828c;font-size:.85rem}
@media(max-width:40rem){body{margin:1rem auto}th,td{padding-right:.5rem;font-size:.9rem}}
@media print{@page{size:A4;margin:14mm}body{max-width:none;margin:0;font-size:10pt}
h2,figure,tr,li{break-inside:avoid}h2,h2+p{break-after:avoid}div.wide{overflow:visible}}
"""

_MARK = '<meta name="generator" content="batchdigits report">'
_MOST_BYTES = 4 * 1024 * 1024

# A page that somebody opens from a mail must not be able to call home, whatever its texts are.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return a whole page; `title` and `lead` are texts, the sections HTML."""
    head = element(
        "head",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        _MARK,
        element("title", cut(title)),
        element("style", _CSS),
    )
    body = element(
        "body",
        element("h1", cut(title)),
        element("p", cut(lead, 4 * LONGEST_TEXT), class_="lead"),
        *sections,
        element(
            "footer",
            f"Made by batchdigits {escaped(__version__)}. Names in grey are the "
            "fields of the receipts or of the JSON that the figures come from.",
        ),
    )
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def section(title: str, *parts: str) -> str:
    """Return HTML parts under a heading; nothing if all of them are empty."""
    if not any(parts):
        return ""
    return "\n" + element("section", element("h2", cut(title)), *parts)


def paragraph(text: str) -> str:
    """Return a text as a paragraph."""
    return element("p", escaped(text))


def source(field: str) -> str:
    """Return the name of the field that a figure comes from."""
    return element("code", cut(field))


def rows_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str = "",
    text_columns: int = 1,
) -> str:
    """Return HTML cells as a table; the columns after the first `text_columns` are figures."""
    if not rows:
        return ""
    # `align` is for pages whose style is taken away.
    text, number = {"align": "left"}, {"align": "right", "class_": "n"}
    classes = [text if at < text_columns else number for at in range(len(header))]
    titles = [
        element("th", escaped(cell), scope="col", **names)
        for cell, names in zip(header, classes, strict=True)
    ]
    lines = [
        element(
            "tr",
            *(
                element("th", cell, scope="row", **names)
                if at == 0
                else element("td", cell, **names)
                for at, (cell, names) in enumerate(zip(row, classes, strict=True))
            ),
        )
        for row in rows
    ]
    parts = [element("caption", escaped(caption))] if caption else []
    parts += [element("thead", element("tr", *titles)), element("tbody", *lines)]
    return element("div", element("table", *parts), class_="wide")


def figure(picture: str, table: str, caption: str = "") -> str:
    """Return a picture with the table of its figures, folded away on a screen."""
    text = element("figcaption", escaped(caption)) if caption else ""
    folded = element("details", element("summary", "the figures"), table) if table else ""
    return element("figure", text, picture, folded, style="margin:0 0 1rem")


def cut(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return a text from outside, escaped, in one line and of at most `longest` characters."""
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else "�" for letter in line)
    return escaped(line if len(line) <= longest else f"{line[: longest - 1]}…")


def check_page(path: str | None, flag: str = "--report") -> Path | None:
    """Check the path of a page before any work; None if there is none.

    Raises UsageError unless it ends in .html, OutputError if it can't be written, or if a file of
    that name is not such a page: only these are replaced.
    """
    if path is None:
        return None
    page = check_output(path, overwrite=True, suffix=".html", flag=flag)
    try:
        is_ours = _MARK.encode() in read_small(page, _MOST_BYTES)
    except FileNotFoundError:
        return page
    except OSError:
        is_ours = False
    if not is_ours:
        raise OutputError(
            f"{page}: exists and is not a page of batchdigits; move it away, or name another file"
        )
    return page


def write_page(path: Path, text: str) -> None:
    """Write a page, whole or not at all, over an older one. Raises OutputError or IOFailedError."""
    replace_file(path, text.encode("utf-8", "replace"))
