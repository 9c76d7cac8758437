"""Links between pages, and the form of decision records."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import DOCS, PAGES, name_of


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    """To files of the repository, and to headings where they name one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors_of(path), link


RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("page", RECORDS, ids=lambda page: page.stem)
def test_decisions_are_dated_and_short(page: Path) -> None:
    date = re.match(r"(\d{4}-\d\d-\d\d)-[a-z0-9-]+$", page.stem)
    assert date, "a name such as 2026-01-31-what-it-is-about.md"
    text = page.read_text(encoding="utf-8")
    assert f"Decided {date[1]}." in text
    assert len(text.splitlines()) <= 40


def test_the_index_of_decisions_lists_every_record_by_its_title() -> None:
    index = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
    titles = {page.name: page.read_text(encoding="utf-8").splitlines()[0] for page in RECORDS}
    listed = re.findall(r"^- \[(.+)\]\((.+)\)$", index, re.MULTILINE)
    assert {name: f"# {title}" for title, name in listed} == titles
    assert set((DOCS / "decisions").iterdir()) - set(RECORDS) == {DOCS / "decisions" / "index.md"}
