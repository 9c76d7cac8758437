"""The page of a night: what it shows, its size, and that nothing in it runs or calls home."""

from __future__ import annotations

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

from batchdigits.predict import main as predict
from batchdigits.report.__main__ import main

SAMPLE = SAMPLE_DATA / "digits.parquet"
MOST_BYTES = 250_000


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outputs of a run in which three rows are rejected."""
    folder = tmp_path_factory.mktemp("night")
    table = pq.read_table(SAMPLE)
    at = table.schema.get_field_index("pixel_0")
    broken = pa.array([99.0, None, -1.0] + [0.0] * (len(table) - 3))
    pq.write_table(table.set_column(at, "pixel_0", broken), folder / "forms.parquet")
    flags = ["--max-rejects", "3", "--strangeness", "--report", str(folder / "run.html")]
    assert predict([str(folder / "forms.parquet"), *flags]) == 0
    return folder


def page_of(folder: Path, *flags: str) -> str:
    output = folder / "page.html"
    assert main([str(folder), "--output", str(output), *flags]) == 0
    return output.read_text(encoding="utf-8")


def write_receipts(folder: Path, origin: Path, count: int, **changes: Any) -> None:
    """Write copies of a receipt, a night each, whose outputs are gone."""
    facts = json.loads((origin / "forms.receipt.json").read_text()) | changes
    for number in range(count):
        month, day = divmod(number, 28)
        facts["started"] = f"2026-{month % 12 + 1:02}-{day + 1:02}T02:00:00Z"
        facts["input"]["path"] = f"night-{number}.parquet"
        (folder / f"night-{number}.receipt.json").write_text(json.dumps(facts))


def test_the_page_has_the_counts_and_names_the_field_of_each(scored: Path) -> None:
    text = Elements(page_of(scored)).text
    assert "1 input file, 1,797 rows: 1,794 predicted, 3 rejected" in text
    for field in ("rows_in", "rows_rejected", "reasons.out-of-range", "reasons.missing"):
        assert field in text
    for field in ("drift.classes.counts", "drift.confidence.counts", "drift.pixels.shades"):
        assert field in text


def test_the_page_shows_the_least_certain_and_the_strangest_digits(scored: Path) -> None:
    page = page_of(scored)
    pictures = [a for tag, a in Elements(page).found if tag == "svg" and a.get("role") == "img"]
    labels = [str(picture["aria-label"]) for picture in pictures]
    assert sum("confidence 0." in label for label in labels) == 36
    assert sum("strangeness" in label for label in labels) == 36


def test_the_page_of_a_run_is_the_page_of_its_receipts(scored: Path) -> None:
    assert (scored / "run.html").read_text(encoding="utf-8") == page_of(scored)


def test_the_same_receipts_give_the_same_bytes(scored: Path) -> None:
    assert page_of(scored) == page_of(scored)


def test_without_the_data_everything_but_the_digits_is_there(scored: Path, tmp_path: Path) -> None:
    write_receipts(tmp_path, scored, 1)
    text = Elements(page_of(tmp_path)).text
    assert "1,794 predicted" in text
    assert "were moved or changed since" in text


@pytest.mark.parametrize("count", [1, 2, 400])
def test_a_page_stays_small_whatever_it_is_of(scored: Path, tmp_path: Path, count: int) -> None:
    huge = {"rows_in": 10**12 + 3, "rows_predicted": 10**12}
    write_receipts(tmp_path, scored, count, **huge)
    page = page_of(tmp_path)
    assert len(page.encode()) < MOST_BYTES
    assert ("Over the nights" in page) is (count > 1)


def test_the_largest_digits_section_fits_too(scored: Path) -> None:
    assert len(page_of(scored).encode()) < MOST_BYTES


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe src=//evil.example>",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<!--<script>",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;",
    "&#x3c;script&#x3e;",
    "\u202e\u2066<b>\u2069",
    "\x1b[31mred\x1b[0m",
    "\x00\x07\x7f",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "<style>*{background:url(//evil.example)}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "a" * 100_000,
    "\ud800",
    "<a href=//evil.example ping=//evil.example>x</a>",
    "<details open ontoggle=alert(1)>",
    "<svg><use href=//evil.example#x>",
    "<math><mtext></table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=1>'>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script\n>alert(1)</script>",
    "<script/src=//evil.example/x.js>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<foreignObject><body onload=alert(1)></foreignObject>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<object data=//evil.example/x.swf>",
    "<embed src=//evil.example>",
    "<form action=//evil.example><button>go</button></form>",
    "<textarea><script>alert(1)</script>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<table background=//evil.example/x.png>",
    "<td style=background:url(//evil.example)>",
    "</td></tr></table><script>alert(1)</script>",
    "</svg><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    "expression(alert(1))",
    "\u2028\u2029<script>alert(1)</script>",
    "\ufeff<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
]
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "table"),
    *("caption", "thead", "tbody", "tr", "th", "td", "code", "div", "figure", "figcaption"),
    *("details", "summary", "svg", "rect", "line", "polyline", "circle", "text", "path", "ul"),
    *("li", "footer"),
}


def check_inert(page: str) -> None:
    """Assert that a page has only our elements, no handler, and no address to call."""
    elements = Elements(page).found
    assert {tag for tag, _ in elements} <= ALLOWED
    for _, attributes in elements:
        assert not any(name.startswith("on") or name in ("href", "src") for name in attributes)
    assert set(re.findall(r"[a-z]+://[^\"<\s]*", "".join(re.findall(r"<[^>]*>", page)))) <= {
        "http://www.w3.org/2000/svg"
    }
    assert [a["content"] for tag, a in elements if "http-equiv" in a] == [
        "default-src 'none'; style-src 'unsafe-inline'"
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_stay_texts(scored: Path, tmp_path: Path, text: str) -> None:
    facts = json.loads((scored / "forms.receipt.json").read_text())
    facts["suspicion"] = text
    facts["reasons"] = {text: 3}
    facts["causes"] = {text: 1}
    facts["input"]["path"] = text
    counts = facts["drift"]["classes"]["counts"]
    facts["drift"]["classes"]["counts"] = {text: 1, **dict(list(counts.items())[1:])}
    (tmp_path / "a.receipt.json").write_text(json.dumps(facts))
    other = {"kind": text, "outputs": {"rejects": None}, "a": {text: text}, text: [text]}
    (tmp_path / "b.receipt.json").write_text(json.dumps(other))
    page = page_of(tmp_path, "--title", text.encode("utf-8", "replace").decode())
    check_inert(page)
    assert len(page.encode()) < MOST_BYTES


def test_what_a_run_refuses_stands_on_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "<b>bad.csv"
    bad.write_text("not,digits\n1,2\n")
    page = tmp_path / "page.html"
    assert predict([str(bad), str(SAMPLE), "--output", str(tmp_path) + "/", "--report", str(page)])
    text = Elements(page.read_text()).text
    assert "bad.csv" in text
    assert "Refused" in text
    assert "1,797 predicted" in text
    check_inert(page.read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.receipt.json", "--output", "page.html"], 66, "no such file"),
        ([".", "--output", "page.html"], 66, "no *.receipt.json in this folder"),
        (["", "--output", "page.html"], 66, "an empty name"),
        (["a.receipt.json", "--output", "page.html", "--store", ""], 2, "--store is empty"),
        (["a.receipt.json", "--output", "page.pdf"], 2, ".html"),
        (["a.receipt.json", "--output", "absent/page.html"], 73, "there is no folder"),
    ],
)
def test_unusable_arguments_are_refused(
    empty: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert main(arguments) == code
    assert words in capsys.readouterr().err
    assert list(empty.iterdir()) == []


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["text", "fifo", "link"])
def test_only_a_page_of_ours_is_replaced(
    scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    page = tmp_path / "page.html"
    if kind == "fifo":
        os.mkfifo(page)
    elif kind == "link":
        page.symlink_to(scored / "run.html")
    else:
        page.write_text("<html>somebody else's</html>")
    before = page.lstat()
    assert main([str(scored), "--output", str(page)]) == 73
    assert "is not a page of batchdigits" in capsys.readouterr().err
    after = page.lstat()  # Not all of it: to look into a page may move its time of access.
    assert os.path.samestat(after, before)
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    page.unlink()
    assert main([str(scored), "--output", str(page)]) == 0
    assert main([str(scored), "--output", str(page), "--title", "again"]) == 0


def test_receipts_in_hidden_folders_are_of_unfinished_work(scored: Path, tmp_path: Path) -> None:
    shutil.copytree(scored, tmp_path / "scored")
    before = page_of(tmp_path / "scored")
    (tmp_path / "scored" / ".part").mkdir()
    write_receipts(tmp_path / "scored" / ".part", scored, 1)
    assert page_of(tmp_path / "scored") == before


def test_a_damaged_receipt_is_refused_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.receipt.json").write_text("{}")
    assert main([str(tmp_path), "--output", str(tmp_path / "page.html")]) == 65
    assert "bad.receipt.json" in capsys.readouterr().err


@pytest.mark.parametrize("classes", [{}, {"0": 1, "1": 1}])
def test_classes_that_the_bundle_does_not_have_are_not_added_up(
    scored: Path, tmp_path: Path, classes: dict[str, int]
) -> None:
    facts = json.loads((scored / "forms.receipt.json").read_text())
    (tmp_path / "a.receipt.json").write_text(json.dumps(facts))
    facts["drift"]["classes"]["counts"] = classes
    (tmp_path / "b.receipt.json").write_text(json.dumps(facts))
    code = main([str(tmp_path), "--output", str(tmp_path / "page.html")])
    assert code == (0 if classes else 65)


def test_a_dry_run_writes_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert predict([str(SAMPLE), "--check", "--report", str(page)]) == 2
    assert not page.exists()


def test_receipts_of_older_versions_give_a_page(scored: Path, tmp_path: Path) -> None:
    facts = json.loads((scored / "forms.receipt.json").read_text())
    for name in ("drift", "estimated_accuracy", "causes", "suspicion", "started"):
        facts.pop(name, None)
    (tmp_path / "old.receipt.json").write_text(json.dumps(facts))
    assert "1,794 predicted" in Elements(page_of(tmp_path)).text
