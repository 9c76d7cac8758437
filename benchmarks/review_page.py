"""Count the keys and movements of a review, and time its screens, in a real Chromium.

    CHROMIUM=/usr/bin/chromium python benchmarks/review_page.py [--cells 10000]

A scripted reviewer who knows the truth settles pages of changed sample digits, of which the
packaged bundle reads some wrongly: by keyboard alone, by pressing and sliding with a mouse, and by
holding and sliding on a touch screen. What is counted are keys and movements for each changed cell,
and keys for each screen. On a page with many cells the time from opening it to the first screen is
measured, and from Enter to the next one: until the browser has drawn it.

It needs Playwright for Python, and a Chromium that the variable CHROMIUM names.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from certificate import make_forms, run_quietly
from numpy.typing import NDArray
from support.measure import Spread, finish, make_parser, make_ready, show, spread, table, target

import batchdigits
from batchdigits.review.document import Review

LETTERS = "abcdefghij"
NEXT_SCREEN = """() => new Promise((done) => {
  const started = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
})"""

Truth = NDArray[np.int64]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--cells", type=int, default=10_000, help="default: 10000")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    logging.disable(logging.WARNING)  # that the rows look changed
    with tempfile.TemporaryDirectory() as name, _chromium() as browser:
        folder = Path(name)
        small, truth = _make(folder / "small", 3000, "0.9", 300)
        large, _ = _make(folder / "large", 3 * arguments.cells, "1", arguments.cells)
        counted = {
            "keyboard alone": _by_keys(browser, small, truth),
            "mouse": _by_mouse(browser, small, truth),
            "touch": _by_touch(browser, small, truth),
        }
        first = spread(_first_screen(browser, large) for _ in range(arguments.pairs))
        following = _next_screens(browser, large)
    lines = [[how, f"{changed}", f"{each:.2f}"] for how, (changed, each) in counted.items()]
    print(table(["by", "changed cells", "keys or movements each"], lines))
    print(f"\nfirst of {arguments.cells:,} cells: {first.text(0)} ms, wanted <= 1000")
    print(f"next screen: {following.text(1)} ms, wanted <= 50")
    keys, mouse, touch = (each for _, each in counted.values())
    figures = {
        "keys": {"each": keys, **target(keys, 3.2, at_most=True)},
        "mouse": {"each": mouse, **target(mouse, 1.15, at_most=True)},
        "touch": {"each": touch, **target(touch, 1.15, at_most=True)},
        "first_ms": {"spread": first, **target(first.median, 1000, at_most=True)},
        "next_ms": {"spread": following, **target(following.median, 50, at_most=True)},
    }
    finish("review_page", figures, save=arguments.save, load_before=before)
    return 0


@contextmanager
def _chromium() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise SystemExit("needs Playwright: pip install playwright") from error
    path = os.environ.get("CHROMIUM")
    if path is None:
        raise SystemExit("needs a browser: CHROMIUM=/usr/bin/chromium")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


def _make(folder: Path, rows: int, below: str, cells: int) -> tuple[Path, Truth]:
    """Make the page of a review with about that many cells; return it and the truth by place."""
    show(f"making a page of {cells} cells")
    folder.mkdir()
    truth = make_forms(folder / "forms.parquet", rows, np.random.default_rng(0))
    batchdigits.score(folder / "forms.parquet", review_below=below, allow_suspect=True)
    sample = cells // 10
    flags = ["--limit", str(cells - sample), "--sample", str(sample)]
    predictions = str(folder / "forms.predictions.parquet")
    run_quietly("make", predictions, "--output", str(folder / "review"), *flags)
    return folder / "review", truth


def _opened(page: Any, folder: Path) -> Any:
    page.goto((folder / "index.html").as_uri())
    page.fill("#name", "script")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell")
    return page


def _settle(
    page: Any,
    folder: Path,
    truth: Truth,
    change: Callable[[int, str], None],
    confirm: Callable[[], None],
) -> int:
    """Settle every screen; return the number of changed cells."""
    whole, changed = Review.read(folder), 0
    for _ in range(page.evaluate("screens.length")):
        for place, number in enumerate(page.evaluate("screens[at].cells")):
            cell = whole.cells[number]
            if str(truth[cell.place]) != whole.labels[cell.shown]:
                change(place, str(truth[cell.place]))
                changed += 1
        confirm()
    wrong = [
        number
        for number, value in page.evaluate("[...journal.settled]")
        if whole.labels[value] != str(truth[whole.cells[number].place])
    ]
    if wrong:
        raise SystemExit(f"{len(wrong)} cells did not get the label that was given")
    return changed


def _by_keys(browser: Any, folder: Path, truth: Truth) -> tuple[int, float]:
    page, keys = _opened(browser.new_page(), folder), 0

    def change(place: int, label: str) -> None:
        nonlocal keys
        for key in (LETTERS[place // 10], LETTERS[place % 10], label):
            page.keyboard.press(key)
            keys += 1

    changed = _settle(page, folder, truth, change, lambda: page.keyboard.press("Enter"))
    page.close()
    return changed, keys / changed


def _by_mouse(browser: Any, folder: Path, truth: Truth) -> tuple[int, float]:
    page, movements = _opened(browser.new_page(viewport={"width": 1280, "height": 1000}), folder), 0

    def change(place: int, label: str) -> None:
        nonlocal movements
        (x, y), (dx, dy) = _middle(page, place), _towards(label)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + dx, y + dy, steps=3)
        page.mouse.up()
        movements += 1

    changed = _settle(page, folder, truth, change, lambda: page.click("#confirm"))
    page.close()
    return changed, movements / changed


def _by_touch(browser: Any, folder: Path, truth: Truth) -> tuple[int, float]:
    phone = {"width": 390, "height": 844}
    context = browser.new_context(viewport=phone, has_touch=True, is_mobile=True)
    page, movements = _opened(context.new_page(), folder), 0
    touch = context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        dots = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": dots})

    def change(place: int, label: str) -> None:
        nonlocal movements
        page.locator(".cell").nth(place).evaluate(
            "(cell) => cell.scrollIntoView({block: 'center'})"
        )
        (x, y), (dx, dy) = _middle(page, place), _towards(label)
        send("touchStart", (x, y))
        page.wait_for_selector("#ring button")
        for part in (0.5, 1):
            send("touchMove", (x + part * dx, y + part * dy))
        send("touchEnd")
        movements += 1

    changed = _settle(page, folder, truth, change, lambda: page.tap("#confirm"))
    context.close()
    return changed, movements / changed


def _middle(page: Any, place: int) -> tuple[float, float]:
    box = page.locator(".cell").nth(place).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def _towards(label: str) -> tuple[float, float]:
    angle = 2 * math.pi * int(label) / 12  # ten digits and two marks, clockwise from the top
    return 50 * math.sin(angle), -50 * math.cos(angle)


def _first_screen(browser: Any, folder: Path) -> float:
    """Return the milliseconds from opening a page to its first screen, without typing a name."""
    page = browser.new_page()
    page.goto((folder / "index.html").as_uri())
    loaded = float(page.evaluate("performance.now()"))
    page.fill("#name", "script")
    pressed = float(page.evaluate("performance.now()"))
    page.keyboard.press("Enter")
    page.wait_for_selector(".cell")
    drawn = float(page.evaluate("performance.getEntriesByName('screen')[0].startTime"))
    page.close()
    return loaded + drawn - pressed


def _next_screens(browser: Any, folder: Path) -> Spread:
    page = _opened(browser.new_page(), folder)
    screens = page.evaluate("screens.length")
    times = [float(page.evaluate(NEXT_SCREEN)) for _ in range(screens - 1)]
    page.close()
    return spread(times)


if __name__ == "__main__":
    sys.exit(main())
