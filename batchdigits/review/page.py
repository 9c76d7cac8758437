"""The page of a review: one HTML file that opens from a server or from disk and asks for nothing.

Its script and its style are allowed by their hashes, and nothing else is: what came with the rows
is text in a block of JSON, and the script shows it as text.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from batchdigits.files.digest import digest_bytes
from batchdigits.html import element

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The page's content policy: `connect-src` is for the server that keeps the journal."""

_KEYS = (
    ("two letters", "mark the cell with that name"),
    ("arrows", "mark the cell beside it"),
    ("a digit", "the marked cell is this digit"),
    (".", "nobody can tell what it is"),
    ("-", "it is not a digit"),
    ("Enter", "the screen is right now: the next one"),
    ("Backspace", "take back the last decision, and the one before it, to the first"),
    ("v", "see the field that the cell is part of"),
    ("o", "one cell at a time"),
    ("n, p", "the next and the previous screen"),
    ("mouse", "point at a cell and type; or press it and slide to the digit"),
    ("touch", "tap: the likeliest other digit; or hold and slide to the digit"),
)


def build_page(document: bytes) -> bytes:
    """Return the page of a review's document; the same document gives the same bytes."""
    script, style = _resource("page.js"), _resource("page.css")
    policy = POLICY.format(script=_source_hash(script), style=_source_hash(style))
    head = element(
        "head",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        "<title>Review</title>",
        element("style", style),
    )
    data = element(
        "script",
        _inert(document.decode()),
        type="application/json",
        id="review",
        data_digest=digest_bytes(document),
    )
    body = element("body", _frame(), data, element("script", script))
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'.encode()


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _source_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _inert(json_text: str) -> str:
    """Escape what could end or change a script element; JSON reads the same."""
    return json_text.strip().replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _frame() -> str:
    """Return the page's elements, which the script fills."""
    return "".join(
        (
            element(
                "header",
                element("h1", "Review", id="title"),
                element("p", id="reviewer", class_="quiet"),
            ),
            element("noscript", element("p", "This page needs JavaScript, which is switched off.")),
            element(
                "form",
                element("label", "Your name: ", '<input id="name" autocomplete="name" required>'),
                " ",
                element("button", "Begin", type="submit"),
                element(
                    "p",
                    "This page was opened as a file. What you decide is saved in this browser; at "
                    "the end, download the journal and hand it back.",
                    class_="quiet",
                ),
                id="who",
                hidden="",
            ),
            element("p", id="state", class_="quiet", role="status"),
            element("p", id="spoken", class_="spoken", aria_live="polite"),
            element("main", *_work(), id="work", hidden=""),
            element("div", id="ring", role="group", aria_label="readings", hidden=""),
        )
    )


def _work() -> tuple[str, ...]:
    return (
        '<progress id="bar" max="1" value="0" aria-label="cells settled"></progress>',
        element(
            "p",
            element("span", id="progress"),
            " ",
            element("span", id="typed"),
            class_="quiet",
        ),
        element("div", id="notice", role="alert", hidden=""),
        element("div", id="tools", role="toolbar", aria_label="decisions"),
        element("div", id="cells", role="group", aria_label="cells"),
        element("div", id="one", hidden=""),
        element("section", id="field", aria_label="the field of the cell", hidden=""),
        element(
            "section",
            element("p", id="summary"),
            element("button", "Download the journal", type="button", id="download"),
            element(
                "p",
                element(
                    "label",
                    "Another reviewer's journal, to see where you disagree: ",
                    '<input id="add" type="file" multiple>',
                    id="add-label",
                ),
            ),
            id="end",
            hidden="",
        ),
        _help(),
    )


def _help() -> str:
    rows = (
        element("tr", element("th", element("kbd", key), scope="row"), element("td", meaning))
        for key, meaning in _KEYS
    )
    return element("details", element("summary", "Keys (?)"), element("table", *rows), id="help")
