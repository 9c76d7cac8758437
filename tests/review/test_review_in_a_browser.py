"""A whole session in a real Chromium: by keys, mouse and touch, from disk, after kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chromium import launched
from paths import ROOT, SAMPLE_DATA
from reviews import Pen, made, review_of
from reviews import cell as one_cell

from batchdigits.predict import main as predict
from batchdigits.receipts import main as receipts
from batchdigits.review.__main__ import main as review
from batchdigits.review.document import PLANTED, Review
from batchdigits.review.journal import read_journal
from batchdigits.review.page import build_page

pytestmark = pytest.mark.browser

LETTERS = "abcdefghij"
HOSTILE = "</script><img src=x onerror=window.hacked=1>\"'><svg/onload=window.hacked=1>"


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture
def browser(playwright: Any) -> Iterator[Any]:
    result = launched(playwright)
    yield result
    result.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits shifted by a pixel, some of which are read wrongly, and a review of 300 cells."""
    result = tmp_path_factory.mktemp("session")
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = np.stack([table[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    shifted = np.roll(pixels.reshape(-1, 8, 8), 1, axis=2)
    shifted[:, :, 0] = 0
    columns = {
        "form_id": [f"form {i // 8}" for i in range(len(pixels))],
        "truth": table["label"].to_pylist(),
        "pixels": pa.FixedSizeListArray.from_arrays(pa.array(shifted.reshape(-1)), 64),
    }
    pq.write_table(pa.table(columns), result / "forms.parquet")
    flags = ["--review-below", "0.9995", "--allow-suspect"]
    assert predict([str(result / "forms.parquet"), *flags]) == 0
    choice = ["--limit", "220", "--sample", "60", "--planted", "6.67%", "--group", "form_id"]
    whole = made(result, result / "forms.predictions.parquet", *choice)
    assert len(whole.cells) == 300
    assert sum(cell.kind == PLANTED for cell in whole.cells) == 20
    return result


@pytest.fixture
def session(folder: Path, tmp_path: Path) -> Path:
    """A copy of the review, for a session of its own."""
    import shutil

    return Path(shutil.copytree(folder, tmp_path / "session"))


class Server:
    """`review serve` in a process of its own, which the end of its test ends at the latest."""

    started: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, folder: Path, reviewer: str = "ana") -> None:
        command = [sys.executable, "-m", "batchdigits.review", "serve", str(folder / "review")]
        self.process = subprocess.Popen(
            [*command, "--reviewer", reviewer],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.started.append(self.process)
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()

    def kill(self, how: int = signal.SIGKILL) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture(autouse=True)
def _no_server_is_left() -> Iterator[None]:
    yield
    while Server.started:
        Server.started.pop().kill()


class Reviewer:
    """Somebody who knows the truth, and counts the keys that they press."""

    def __init__(self, page: Any, whole: Review, truth: list[str]) -> None:
        self.page = page
        self.review = whole
        self.truth = truth
        self.missed: set[int] = set()
        self.keys = self.changed = self.screens = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.keys += 1

    def screen(self) -> list[int]:
        """The cells of the screen that is shown, by their place in the review."""
        return list(self.page.evaluate("screens[at].cells"))

    def wrong(self) -> list[tuple[int, str]]:
        """The places on the screen of the cells that are something else, and what they are."""
        result = []
        for place, number in enumerate(self.screen()):
            cell = self.review.cells[number]
            if self.truth[cell.place] != self.review.labels[cell.shown]:
                result.append((place, self.truth[cell.place]))
        return result

    def settle_screen(self) -> None:
        numbers = self.screen()
        for place, label in self.wrong():
            if numbers[place] not in self.missed:
                self.press(LETTERS[place // 10], LETTERS[place % 10], label)
                self.changed += 1
        self.press("Enter")
        self.screens += 1

    def is_done(self) -> bool:
        return bool(self.page.is_visible("#end"))


def truths(folder: Path) -> list[str]:
    return [str(label) for label in pq.read_table(folder / "forms.parquet")["truth"].to_pylist()]


def until(page: Any, condition: str) -> None:
    """Wait for a condition. The page's policy lets no other script wait inside the page."""
    for _ in range(500):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{condition} did not come true")


def wait_saved(page: Any) -> None:
    until(page, "store.waiting.length === 0 && !store.sending")


def opened(browser: Any, server: Server, problems: list[str]) -> Any:
    """A page of the server, whose errors are added to `problems`."""
    page = browser.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(server.url)
    page.wait_for_selector(".cell")
    return page


def kill_browsers() -> None:
    """Kill every Chromium that this process started."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # they end by themselves when the first one is killed
            if "chrom" in child.name():
                child.kill()


def test_a_whole_session_by_keys_with_kills_of_server_and_browser(
    playwright: Any, session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, problems = Review.read(session / "review"), list[str]()
    missed = set([n for n, cell in enumerate(whole.cells) if cell.kind == PLANTED][3::9])
    assert len(missed) == 2
    server, browser = Server(session), launched(playwright)
    ana = Reviewer(opened(browser, server, problems), whole, truths(session))
    ana.missed = missed
    server = settle_while_the_server_is_killed(ana, server, session)

    # The browser is killed: all that was answered is in the journal.
    ana.settle_screen()
    wait_saved(ana.page)
    kill_browsers()
    browser = launched(playwright)
    ana.page = opened(browser, server, problems)
    sizes = ana.page.evaluate("screens.slice(0, 4).map((screen) => screen.cells.length)")
    assert ana.page.evaluate("journal.settled.size") == sum(sizes)
    undo_everything_and_do_it_again(ana)

    while not ana.is_done():
        ana.settle_screen()
    wait_saved(ana.page)
    assert "18 of 20 planted cells caught" in ana.page.inner_text("#summary")
    assert ana.screens == ana.page.evaluate("screens.length")
    assert ana.keys - ana.screens <= 3.2 * ana.changed
    assert problems == []
    browser.close()
    assert server.kill(signal.SIGINT) == 130
    check_what_comes_back(session, whole, capsys)


def settle_while_the_server_is_killed(ana: Reviewer, server: Server, session: Path) -> Server:
    """Settle three screens, the last of them while nobody answers; return the new server."""
    journal = session / "review" / "ana.journal.jsonl"
    ana.settle_screen()
    ana.settle_screen()
    wait_saved(ana.page)
    server.kill()
    before = journal.read_text(encoding="utf-8")
    ana.settle_screen()
    ana.page.wait_for_selector("#state.urgent")
    assert "no answer from the server" in ana.page.inner_text("#state")
    again = Server(session)
    assert again.url == server.url
    wait_saved(ana.page)
    ana.page.wait_for_selector("#state:not(.urgent)")
    after = journal.read_text(encoding="utf-8")
    assert after.startswith(before)
    assert len(after) > len(before)
    return again


def undo_everything_and_do_it_again(ana: Reviewer) -> None:
    """Undo to any depth, over screens, also with nothing left to undo."""
    page, state = ana.page, "JSON.stringify([[...journal.settled], [...journal.values]])"
    goal = page.evaluate(state)
    for _ in range(page.evaluate("journal.undos.length") + 1):
        page.keyboard.press("Backspace")
    assert page.evaluate("[journal.settled.size, journal.values.size]") == [0, 0]
    assert "screen 1 of" in page.inner_text("#progress")
    again = Reviewer(page, ana.review, ana.truth)
    again.missed = ana.missed
    for _ in range(4):
        again.settle_screen()
    assert page.evaluate(state) == goal


def check_what_comes_back(session: Path, whole: Review, capsys: pytest.CaptureFixture[str]) -> None:
    """The reviewed file, its receipt and the labelled rows say what the reviewer decided."""
    truth = truths(session)
    assert review(["apply", str(session / "review"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = pq.read_table(session / "forms.reviewed.parquet").to_pylist()
    for cell in whole.cells:
        if cell.kind != PLANTED:
            row = rows[cell.place]
            assert str(row["prediction"]) == truth[cell.place]
            changed = whole.labels[cell.read] != truth[cell.place]
            assert row["decided_by"] == ("reviewer" if changed else "agreed")
    certificate = facts["certificate"]
    assert (certificate["planted"], certificate["caught"]) == (20, 18)
    assert certificate["errors_left_at_most"] >= 0
    assert certificate["accepted_errors_at_most"] is not None
    assert receipts(["verify", str(session / "forms.reviewed.receipt.json")]) == 0
    output = session / "corrected.parquet"
    assert review(["rows", str(session / "review"), "--output", str(output)]) == 0
    labelled = pq.read_table(output).to_pylist()
    assert len(labelled) == 280
    assert all(str(row["label"]) == truth[row["row"] - 1] for row in labelled)


def test_a_slip_is_told_at_once(browser: Any, session: Path) -> None:
    whole, page = Review.read(session / "review"), browser.new_page()
    server = Server(session)
    page.goto(server.url)
    page.wait_for_selector(".cell")
    while not any(whole.cells[n].kind == PLANTED for n in page.evaluate("screens[at].cells")):
        page.keyboard.press("Enter")
    assert not page.is_visible("#notice")
    slips = [n for n in page.evaluate("screens[at].cells") if whole.cells[n].kind == PLANTED]
    page.keyboard.press("Enter")
    cell = whole.cells[slips[0]]
    told = f"was shown as {cell.shown}, it is {cell.read}"
    assert told in page.inner_text("#notice")
    assert page.get_attribute("#notice", "role") == "alert"
    page.keyboard.press("a")
    page.keyboard.press("a")
    page.keyboard.press("3")
    assert not page.is_visible("#notice")
    server.kill(signal.SIGTERM)


def named(page: Any) -> None:
    page.fill("#name", "ben")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell")


def at_a_full_screen(page: Any) -> list[int]:
    """Go to the first screen of 30 cells or more, and return them.

    Which cells a review holds depends on the last bits of the confidences, and these on the
    processor: on some, the first screen has only a few.
    """
    while len(page.evaluate("screens[at].cells")) < 30:
        page.keyboard.press("n")
    return list(page.evaluate("screens[at].cells"))


def test_from_disk_it_asks_for_nothing_saves_in_the_browser_and_gives_its_journal(
    browser: Any, session: Path, tmp_path: Path
) -> None:
    tried: list[str] = []
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.on("request", lambda request: tried.append(request.url))
    address = (session / "review" / "index.html").as_uri()
    page.goto(address)
    context.route("**/*", lambda route: route.abort())
    named(page)
    ben = Reviewer(page, Review.read(session / "review"), truths(session))
    ben.settle_screen()
    context.unroute_all()
    page.reload()  # as after a crash
    named(page)
    assert page.evaluate("journal.settled.size") == len(page.evaluate("screens[0].cells"))
    while not ben.is_done():
        ben.settle_screen()
    with page.expect_download() as download:
        page.click("#download")
    path = session / "review" / download.value.suggested_filename
    download.value.save_as(path)
    assert path.name == "ben.journal.jsonl"
    whole = Review.read(session / "review")
    assert len(read_journal(path, whole).settled) == 300
    assert {url for url in tried if url != address and not url.startswith("blob:")} == set()
    assert review(["apply", str(path)]) == 0
    context.close()


def test_two_reviewers_see_their_disagreements_again(browser: Any, session: Path) -> None:
    whole = Review.read(session / "review")
    ours = [n for n, cell in enumerate(whole.cells) if cell.kind != PLANTED][:3]
    pen = Pen(whole, "ana")
    for number in ours[:2]:
        pen.set(number, "cant-tell")
    pen.confirm(range(len(whole.cells))).write(session / "review")
    Pen(whole, "ben").confirm(range(len(whole.cells))).write(session / "review")
    server = Server(session, "ben")
    page = browser.new_page()
    page.goto(server.url)
    page.wait_for_selector("#one canvas")
    assert "2 left" in page.inner_text("#title")
    assert "ana: can't tell" in page.inner_text("#one")
    page.keyboard.press("8")
    until(page, "document.title.includes('1 left')")
    page.keyboard.press("Enter")
    page.wait_for_selector("#summary:visible")
    wait_saved(page)
    journal = read_journal(session / "review" / "ben.journal.jsonl", whole)
    assert {n: d.value for n, d in journal.over.items()} == {
        ours[0]: 8,
        ours[1]: whole.cells[ours[1]].shown,
    }
    page.keyboard.press("Backspace")
    until(page, "document.title.includes('1 left')")
    server.kill(signal.SIGTERM)


def test_one_cell_at_a_time(browser: Any, session: Path) -> None:
    page = browser.new_page()
    page.goto((session / "review" / "index.html").as_uri())
    named(page)
    first, second, *_ = at_a_full_screen(page)
    shown = page.evaluate("screens[at].shown")
    page.keyboard.press("o")
    assert page.is_visible("#one canvas")
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    assert page.evaluate("[...journal.settled]") == [[first, 8], [second, shown]]
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    assert page.evaluate("[journal.settled.size, journal.values.size]") == [0, 0]
    page.keyboard.press("v")
    assert "form_id form" in page.inner_text("#field")


def drag(page: Any, place: int, label: str) -> None:
    """Press a cell, slide towards the label, let go: one movement."""
    box = page.locator(".cell").nth(place).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    angle = 2 * np.pi * int(label) / 12  # ten digits and two marks, clockwise from the top
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50 * np.sin(angle), y - 50 * np.cos(angle), steps=4)
    page.mouse.up()


def test_with_a_mouse_a_changed_cell_is_one_movement(browser: Any, session: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((session / "review" / "index.html").as_uri())
    named(page)
    ana = Reviewer(page, Review.read(session / "review"), truths(session))
    actions = changed = 0
    while not ana.is_done():
        for place, label in ana.wrong():
            drag(page, place, label)
            actions, changed = actions + 1, changed + 1
        page.click("#confirm")
    values = dict(page.evaluate("[...journal.settled]"))
    for number, cell in enumerate(ana.review.cells):
        assert ana.review.labels[values[number]] == ana.truth[cell.place]
    assert changed > 20
    assert actions <= 1.15 * changed


def test_with_a_mouse_pointing_marks_and_a_click_takes_the_likeliest(
    browser: Any, session: Path
) -> None:
    page = browser.new_page()
    page.goto((session / "review" / "index.html").as_uri())
    named(page)
    number = at_a_full_screen(page)[5]
    cell = Review.read(session / "review").cells[number]
    box = page.locator(".cell").nth(5).bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20, steps=3)
    page.keyboard.press("4")
    assert page.evaluate(f"journal.value({number})") == 4
    page.keyboard.press("Backspace")
    page.mouse.click(box["x"] + 20, box["y"] + 20)
    assert page.evaluate(f"journal.value({number})") == cell.others[0]
    page.mouse.click(box["x"] + 20, box["y"] + 20)
    assert page.evaluate(f"journal.value({number})") == cell.others[1]


def test_on_a_phone_hold_and_slide_is_one_movement_and_a_swipe_scrolls(
    browser: Any, session: Path
) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 500}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    page.clock.install(time="2026-11-28T08:00:00Z")
    page.goto((session / "review" / "index.html").as_uri())
    named(page)
    cells = at_a_full_screen(page)
    page.clock.pause_at("2026-11-28T09:00:00Z")  # or a swipe that is slow to arrive is a hold
    touch = context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        dots = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": dots})

    box = page.locator(".cell").nth(7).bounding_box()
    x, y = box["x"] + 30, box["y"] + 30
    send("touchStart", (x, y))
    page.clock.run_for(250)
    page.wait_for_selector("#ring button")
    angle = 2 * np.pi * 6 / 12
    for step in (15, 30, 45):
        send("touchMove", (x + step * np.sin(angle), y - step * np.cos(angle)))
    send("touchEnd")
    assert page.evaluate(f"journal.value({cells[7]})") == 6
    assert page.evaluate("scrollY") == 0
    cell = Review.read(session / "review").cells[cells[2]]
    page.locator(".cell").nth(2).tap()
    assert page.evaluate(f"journal.value({cells[2]})") == cell.others[0]
    page.evaluate("scrollTo(0, 0)")
    send("touchStart", (x, y))
    for step in range(10, 200, 15):
        send("touchMove", (x, y - step))
    send("touchEnd")
    until(page, "scrollY > 50")
    assert page.evaluate("journal.events.length") == 2
    # The button that ends the screen is in reach wherever the page is.
    assert page.locator("#confirm").bounding_box()["y"] < 500
    context.close()


def test_hostile_texts_are_shown_as_text_and_nothing_runs(browser: Any, tmp_path: Path) -> None:
    facts = json.loads(review_of(one_cell(0, field=(0, 0))).encode())
    facts["files"][0]["path"] = facts["labels"][3] = HOSTILE
    facts["fields"] = [{"of": {HOSTILE: HOSTILE}, "cells": [[facts["cells"][0]["pixels"], 3]]}]
    (tmp_path / "index.html").write_bytes(build_page(json.dumps(facts).encode()))
    page = browser.new_page()
    tried: list[str] = []
    page.on("request", lambda request: tried.append(request.url))
    page.goto((tmp_path / "index.html").as_uri())
    page.fill("#name", HOSTILE)
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell")
    page.keyboard.press("v")
    page.click("#tools button:nth-child(4)")
    assert HOSTILE in page.inner_text("#field")
    assert HOSTILE in page.inner_text("#reviewer")
    assert HOSTILE in str(page.get_attribute(".cell", "aria-label"))
    assert page.evaluate("window.hacked") is None
    assert len(tried) == 1


def test_a_page_with_another_script_in_it_runs_only_its_own(browser: Any, tmp_path: Path) -> None:
    html = build_page(review_of(one_cell(0)).encode()).decode()
    evil = html.replace("<noscript>", "<script>window.hacked=1</script><noscript>")
    (tmp_path / "index.html").write_text(evil, encoding="utf-8")
    page = browser.new_page()
    page.goto((tmp_path / "index.html").as_uri())
    named(page)
    assert page.evaluate("window.hacked") is None


def test_the_page_replays_a_journal_as_apply_does(browser: Any, session: Path) -> None:
    """Random decisions and undos give the same state in the page and in Python."""
    whole = Review.read(session / "review")
    random = np.random.default_rng(7)
    pen = Pen(whole, "ana")
    for _ in range(600):
        number, label = int(random.integers(300)), str(random.integers(10))
        what = random.random()
        if what < 0.5:
            pen.set(number, label if what < 0.45 else "not-a-digit")
        elif what < 0.7:
            pen.confirm(range(number, min(number + 10, 300)))
        elif what < 0.75:
            pen.settle(number, label)
        else:
            pen.undo()
    journal = read_journal(pen.write(session / "review"), whole)
    server = Server(session, "ana")
    page = browser.new_page()
    page.goto(server.url)
    until(page, "typeof journal === 'object' && journal && journal.events.length > 0")
    settled, over, slipped = page.evaluate(
        "[[...journal.settled], [...journal.over], [...journal.slipped]]"
    )
    assert dict(settled) == {n: d.value for n, d in journal.settled.items()}
    assert dict(over) == {n: d.value for n, d in journal.over.items()}
    assert set(slipped) == journal.slipped
    server.kill(signal.SIGTERM)


def test_every_control_has_a_name_and_a_cell_says_what_it_is(browser: Any, session: Path) -> None:
    page = browser.new_page()
    page.goto((session / "review" / "index.html").as_uri())
    assert page.get_by_label("Your name").is_visible()
    named(page)
    assert page.locator("html").get_attribute("lang") == "en"
    for button in page.locator("button:visible").all():
        name = button.get_attribute("aria-label") or button.inner_text()
        assert name.strip(), button.evaluate("(b) => b.outerHTML")
    at_a_full_screen(page)
    shown = page.evaluate("review.labels[screens[at].shown]")
    other = "5" if shown != "5" else "6"
    page.keyboard.press("a")
    page.keyboard.press("c")
    marked = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert marked == f"ac, read as {shown}"
    page.keyboard.press(other)
    assert page.inner_text("#spoken") == f"ac is {other}"
    changed = page.locator(".cell").nth(2).get_attribute("aria-label")
    assert changed == f"ac, read as {shown}, now {other}"
    assert page.locator(".cell[tabindex='0']").count() == 1
