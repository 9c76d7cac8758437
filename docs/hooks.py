"""Hooks of mkdocs: the README becomes the home page, and files outside docs/ join the site.

Pages link to each other as files of the repository, so the links work in a checkout. On the site
docs/ is the root. A linked file outside docs/ keeps its path, and README.md becomes index.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "README.md"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)[^)\s#]+")
CODE = re.compile(r"`[^`\n]+`")


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the README and every file outside docs/ that a page links to, directly or indirectly."""
    pages = [Path(file.abs_src_path) for file in files.documentation_pages()]
    outside = [HOME]
    for page in (*pages, HOME):
        outside += linked_outside_docs(page)
    for path in outside:
        if place_on_site(path) in files.src_uris:
            continue
        files.append(File.generated(config, place_on_site(path), abs_src_path=str(path)))
        if path.suffix == ".md":
            outside += linked_outside_docs(path)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Return the page with its links to files of the repository as links within the site.

    In a cell of a table GitHub wants a pipe in code escaped, mkdocs wants it plain.
    """
    folder = PurePosixPath(page.file.src_uri).parent
    source = Path(page.file.abs_src_path).parent

    def link_within_site(match: re.Match[str]) -> str:
        return os.path.relpath(place_on_site((source / match[0]).resolve()), folder)

    markdown = CODE.sub(lambda match: match[0].replace(r"\|", "|"), markdown)
    return LINK.sub(link_within_site, markdown)


def linked_outside_docs(page: Path) -> list[Path]:
    """Return the existing files outside docs/ that a page links to."""
    text = page.read_text(encoding="utf-8")
    targets = [(page.parent / link).resolve() for link in LINK.findall(text)]
    return [path for path in targets if path.is_file() and ROOT / "docs" not in path.parents]


def place_on_site(path: Path) -> str:
    """Return a file's path on the site, from its path in the repository."""
    if path == HOME:
        return "index.md"
    return os.path.relpath(path, ROOT).removeprefix("docs/")
