"""The page of a night in a real Chromium: nothing runs, nothing is asked for, all can be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import launched
from paths import SAMPLE_DATA

from batchdigits.predict import main as predict
from batchdigits.report.__main__ import main as report

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><img src=//evil.example/x onerror=window.hacked=1>\"'><svg onload=window.hacked=1>",
    "<style>@import '//evil.example/x.css'</style><base href=//evil.example><link rel=prefetch>",
    "<meta http-equiv=refresh content='0;url=//evil.example'><iframe src=//evil.example></iframe>",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        result = launched(running)
        yield result
        result.close()


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of several nights, with hostile texts wherever a receipt can hold one."""
    folder = tmp_path_factory.mktemp("night")
    sample = str(SAMPLE_DATA / "digits.parquet")
    assert predict([sample, "--output", str(folder / "first.parquet"), "--strangeness"]) == 0
    facts = json.loads((folder / "first.receipt.json").read_text())
    for number, text in enumerate(HOSTILE):
        facts["started"] = f"2026-11-{number + 10}T02:00:00Z"
        facts["suspicion"] = facts["input"]["path"] = text
        facts["reasons"], facts["rows_rejected"] = {text: 1}, 1
        facts["rows_in"] = facts["rows_predicted"] + 1
        (folder / f"hostile-{number}.receipt.json").write_text(json.dumps(facts))
    page = folder / "page.html"
    assert report([str(folder), "--output", str(page)]) == 0
    return page


@pytest.mark.parametrize("java_script", [True, False])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_asks_for_nothing_and_runs_nothing(
    browser: Any, page_path: Path, java_script: bool, scheme: str
) -> None:
    context = browser.new_context(java_script_enabled=java_script, color_scheme=scheme)
    asked: list[str] = []
    faults: list[str] = []

    def block(route: Any) -> None:
        if route.request.url == page_path.as_uri():
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    context.route("**/*", block)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    page.goto(page_path.as_uri())
    page.wait_for_timeout(300)
    assert (asked, faults) == ([], [])
    assert page.url == page_path.as_uri()
    assert page.get_by_role("heading", name="Over the nights").is_visible()
    assert page.get_by_text("onerror=window.hacked=1").first.is_visible()
    if java_script:
        assert page.evaluate("window.hacked") is None
        assert page.evaluate("document.scripts.length") == 0
    context.close()


def test_pictures_have_names_and_the_page_fits_a_phone(browser: Any, page_path: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 700})
    page = context.new_page()
    page.goto(page_path.as_uri())
    pictures = page.get_by_role("img")
    assert pictures.count() > 10
    assert all(picture.get_attribute("aria-label") for picture in pictures.all())
    widest = page.evaluate("document.documentElement.scrollWidth")
    assert widest <= 360, "only tables may scroll sideways"
    context.close()
