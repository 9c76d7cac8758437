"""The pages of the documentation, and their sections and tables as Python values."""

from __future__ import annotations

import re
from pathlib import Path

from paths import ROOT, SAMPLE_DATA

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), SAMPLE_DATA / "README.md"]

Row = list[str]


def name_of(page: Path) -> str:
    """The page's path in the repository, for test ids."""
    return str(page.relative_to(ROOT))


def reference(name: str) -> str:
    """The text of docs/reference/NAME.md."""
    return (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """The text between a heading and the next one."""
    _, _, after = re.split(rf"^(#+ {re.escape(title)}\n)", text, maxsplit=1, flags=re.MULTILINE)
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def tables(text: str) -> list[list[Row]]:
    """Every table of a text, each as its rows of cells, the header first."""
    blocks = [
        [cells_of(line) for line in block.splitlines()]
        for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    return [[rows[0], *rows[2:]] for rows in blocks]


def cells_of(line: str) -> Row:
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [cell.strip().replace(r"\|", "|") for cell in cells]


def table(text: str, *header: str) -> list[Row]:
    """The rows of the only table in a text whose header begins with these cells."""
    (rows,) = (rows for rows in tables(text) if rows[0][: len(header)] == list(header))
    return rows[1:]


def codes(text: str) -> list[str]:
    """Everything in backticks."""
    return re.findall(r"`([^`]+)`", text)


def code(cell: str) -> str:
    """The text in the first backticks of a cell."""
    return codes(cell)[0]
