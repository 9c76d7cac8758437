"""docs/glossary.md: each word once, and no page or help uses another word for the same thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_parsers import parsers_of
from pages import DOCS, PAGES, name_of, table
from paths import ROOT

from batchdigits.__main__ import COMMANDS

GLOSSARY = DOCS / "glossary.md"
ROWS = table(GLOSSARY.read_text(encoding="utf-8"), "word", "meaning", "not")
AVOIDED = [word for row in ROWS for word in row[2].split(", ") if word]
HISTORY = [ROOT / "CHANGELOG.md", *(DOCS / "decisions").glob("*.md")]
CHECKED = [page for page in PAGES if page not in (GLOSSARY, *HISTORY)]


def avoided_in(text: str) -> list[str]:
    """The avoided words in a text, but for those in code."""
    prose = re.sub(r"^```.*?^```$|`[^`]*`|\]\([^)]*\)", "", text, flags=re.DOTALL | re.MULTILINE)
    return [word for word in AVOIDED if re.search(rf"\b{re.escape(word)}s?\b", prose.lower())]


def test_each_word_has_one_meaning() -> None:
    words = [row[0] for row in ROWS]
    assert len(set(words)) == len(words)
    assert len(set(AVOIDED)) == len(AVOIDED)
    assert not set(words) & set(AVOIDED)
    assert avoided_in("The registry has two artifacts.") == ["artifact", "registry"]


@pytest.mark.parametrize("page", CHECKED, ids=name_of)
def test_a_page_uses_the_words_of_the_glossary(page: Path) -> None:
    assert avoided_in(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_uses_the_words_of_the_glossary(command: str) -> None:
    assert avoided_in("\n".join(parser.format_help() for parser in parsers_of(command))) == []
