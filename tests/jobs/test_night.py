"""jobs/cron/night.sh over real deliveries of two forms, as cron runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from paths import ROOT, SAMPLE_DATA

JOBS = ROOT / "jobs" / "cron"
SCRIPT = JOBS / "night.sh"
FORM = SAMPLE_DATA / "form"
PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Machine:
    """The folders that the settings of pages.crontab name."""

    home: Path

    @property
    def incoming(self) -> Path:
        return self.home / "incoming"

    @property
    def nights(self) -> Path:
        return self.home / "nights"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the settings for these folders, and nothing else but what cron gives."""
        return {
            "PATH": "/usr/bin:/bin",
            "BATCHDIGITS_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),  # the tests need no installation
            "INCOMING": str(self.incoming),
            "TEMPLATES": str(self.home / "templates"),
            "NIGHTS": str(self.nights),
            "LOGS": str(self.home / "logs"),
            "MAX_REJECTS": "0",
            "MAX_DRIFT": "1",
            "REVIEW_BELOW": "0.95",
            **settings,
        }

    def start(self, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [SCRIPT],
            env=self.environment(**settings),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, **settings: str) -> tuple[int, list[str]]:
        """Run a night; return its exit code and the lines that cron would mail."""
        process = self.start(**settings)
        stdout, stderr = process.communicate(timeout=10 * PATIENCE)
        assert stdout == ""
        return process.returncode, stderr.splitlines()

    def deliver(self, name: str, *pages: str) -> None:
        """Deliver pages, each into the subfolder that its name begins with."""
        for page in pages:
            path = self.incoming / name / page
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.home / page, path)

    def statuses(self) -> list[str]:
        """Return what became of the work in all summaries that were logged, in order."""
        (log,) = (self.home / "logs").glob("night-*.jsonl")
        lines = [json.loads(line) for line in log.read_text().splitlines() if line[0] == "{"]
        return [status_of(summary) for summary in lines if "review" not in summary]


def status_of(summary: dict[str, Any]) -> str:
    status: str = summary["inputs"][0]["status"] if "inputs" in summary else summary["status"]
    return status


def draw_slip() -> Any:
    """Load the script that draws the sample form, with the fields of another form."""
    spec = importlib.util.spec_from_file_location("make_slip", SAMPLE_DATA / "make_form.py")
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    sys.modules["make_slip"] = drawing  # its dataclasses look for their module there
    spec.loader.exec_module(drawing)
    drawing.FIELDS = (
        drawing.Field("account", "Customer", [300, 760, 860, 850], 7, combed=True),
        drawing.Field("due", "Amount due", [200, 1150, 700, 1240], 5, combed=False),
    )
    return drawing


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two templates, and pages of both forms: `card` from the sample data, `slip` drawn here."""
    home = tmp_path_factory.mktemp("drawn")
    for name in ("templates", "card", "slip"):
        (home / name).mkdir()
    shutil.copy(FORM / "form.json", home / "templates" / "card.json")
    shutil.copy(FORM / "blank.png", home / "templates")
    for page in ("page.png", "pages.pdf"):
        shutil.copy(FORM / page, home / "card")
    (home / "card" / "broken.png").write_bytes((FORM / "page.png").read_bytes()[:3000])
    slip = draw_slip()
    blank = slip.draw_blank()
    blank.convert("1", dither=0).save(home / "templates" / "slip.blank.png", dpi=(200, 200))
    template = {
        "format": 1,
        "page": {"width": slip.WIDTH, "height": slip.HEIGHT, "dpi": slip.DPI},
        "blank": "slip.blank.png",
        "fields": [field.facts() for field in slip.FIELDS],
        "marks": slip.MARKS,
    }
    (home / "templates" / "slip.json").write_text(json.dumps(template))
    sheet = slip.fill(blank, {"account": "5093271", "due": "48160"}, 3)
    slip.scanned(sheet, angle=0.4, shift=(5, -6)).save(home / "slip" / "slip.png", dpi=(200, 200))
    yield home
    del sys.modules["make_slip"]


@pytest.fixture
def idle(tmp_path: Path) -> Machine:
    """A machine with an empty folder for deliveries, and a space in its name."""
    home = tmp_path / "the data"
    (home / "incoming").mkdir(parents=True)
    return Machine(home)


@pytest.fixture
def machine(idle: Machine, drawn: Path) -> Machine:
    """The machine with both templates, and pages that can be delivered."""
    shutil.copytree(drawn, idle.home, dirs_exist_ok=True)
    return idle


def files_of(night: Path) -> dict[str, tuple[int, int]]:
    """The files of a night with inode and size: a file that is written anew has another inode."""
    facts = {path: path.stat() for path in night.rglob("*") if path.is_file()}
    return {str(path.relative_to(night)): (s.st_ino, s.st_size) for path, s in facts.items()}


@pytest.mark.slow
def test_a_night_of_two_forms_ends_in_whole_fields_a_review_and_a_page(machine: Machine) -> None:
    """Pages of both forms in one folder; the next night finds nothing to do."""
    machine.deliver("2026-11-27", "card/pages.pdf", "slip/slip.png")
    shutil.copy(machine.home / "slip" / "slip.png", machine.incoming / "loose.png")
    assert machine.run() == (0, [])
    night = machine.nights / "2026-11-27"
    fields = pq.read_table(night / "fields.parquet").to_pylist()
    key = json.loads((FORM / "key.json").read_text())["pages.pdf"]
    texts = {(row["template"], row["page"], row["field"]): row["text"] for row in fields}
    assert len(texts) == 3 * 7 + 2
    for number, sheet in enumerate(key, 1):
        for field, text in sheet.items():
            assert len(texts["card", number, field]) == len(text)
    assert texts["slip", 1, "account"] == "5093271"  # seven digits; ten on a card
    assert not any(row["cause"] == "length" for row in fields)
    loose = pq.read_table(machine.nights / "loose.png" / "fields.parquet").to_pylist()
    assert (loose[0]["template"], loose[0]["text"]) == ("slip", "5093271")
    names = ["2026-11-27", "loose.png", "nights.html"]
    assert sorted(path.name for path in machine.nights.glob("[!.]*")) == names

    before = {name: files_of(machine.nights / name) for name in names[:2]}
    assert machine.run() == (0, [])
    assert machine.statuses() == [*["made", "scored", "assembled"] * 2, *["unchanged"] * 6]
    for name in names[:2]:
        after = files_of(machine.nights / name)
        changed = {path for path in after if after[path] != before[name].get(path)}
        assert changed <= {"night.html"}
        assert after.keys() == before[name].keys()


@pytest.mark.slow
def test_a_page_that_cannot_be_read_is_one_line_and_the_rest_of_the_night_goes_on(
    machine: Machine,
) -> None:
    """A refused page costs its delivery a code 3; a delivery without a page costs only itself."""
    machine.deliver("a", "card/broken.png")
    machine.deliver("b", "card/broken.png", "slip/slip.png")
    code, lines = machine.run()
    assert code == 65
    assert len(lines) == 2
    assert f"{machine.incoming / 'a'}: none of the 1 pages can be read" in lines[0]
    assert "1 of 2 pages" in lines[1]
    assert sorted(path.name for path in (machine.nights / "b").glob("*.*")) == [
        *("fields.fields.receipt.json", "fields.parquet", "night.html"),
        *("rows.forms.receipt.json", "rows.forms.rejects.parquet", "rows.parquet"),
        *("rows.predictions.parquet", "rows.receipt.json"),
    ]
    assert not (machine.nights / "a" / "fields.parquet").exists()
    code, lines = machine.run(MAX_REJECTS="50%")
    assert code == 65
    assert len(lines) == 1


@pytest.mark.slow
def test_a_step_that_is_killed_is_finished_by_the_next_night(machine: Machine) -> None:
    """The other deliveries of the night go on without it."""
    machine.deliver("a", "slip/slip.png")
    machine.deliver("b", "slip/slip.png")
    killed = machine.home / "python"
    killed.write_text(
        f'#!/bin/sh\ncase "$*" in *predict*/a/*) kill -9 $$ ;; esac\nexec "{sys.executable}" "$@"\n'
    )
    killed.chmod(0o755)
    code, lines = machine.run(BATCHDIGITS_PYTHON=str(killed))
    assert code == 137
    (line,) = [line for line in lines if line.startswith("night.sh")]
    told = f"{machine.incoming / 'a'}: predict was killed (137); the next night goes on"
    assert line == f"night.sh: error: {told}"
    assert not (machine.nights / "a" / "rows.predictions.parquet").exists()
    assert (machine.nights / "b" / "night.html").exists()
    assert machine.run() == (0, [])
    assert (machine.nights / "a" / "review" / "index.html").exists()
    assert machine.statuses().count("scored") == 2


@pytest.mark.slow
def test_two_nights_do_not_overlap_and_a_stopped_night_stops_its_step(machine: Machine) -> None:
    """The later one ends with 75; SIGTERM ends the earlier one and its command."""
    machine.deliver("a", *("card/pages.pdf", "card/page.png"))
    waiting = machine.home / "python"
    waiting.write_text(f'#!/bin/sh\ntouch "{machine.home}/began"\nexec sleep 600\n')
    waiting.chmod(0o755)
    first = machine.start(BATCHDIGITS_PYTHON=str(waiting))
    try:
        wait_for((machine.home / "began").exists)
        code, (line,) = machine.run()
        assert code == 75
        assert "another night is at work" in line
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE) == 143
        with pytest.raises(ProcessLookupError):
            os.killpg(first.pid, 0)
    finally:
        first.kill()
        first.communicate()
    assert machine.run() == (0, [])


def test_a_night_without_pages_is_silent(idle: Machine) -> None:
    """An empty folder, an empty day, and a delivery that is not complete yet."""
    assert idle.run() == (0, [])
    (idle.incoming / "2026-11-27").mkdir()
    (idle.incoming / ".2026-11-28").mkdir()
    (idle.incoming / ".2026-11-28" / "page.png").touch()
    assert idle.run() == (0, [])
    assert list(idle.nights.glob("[!.]*")) == []


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ({"INCOMING": "/absent"}, 66, "/absent: no such folder; set INCOMING"),
        ({"BATCHDIGITS_PYTHON": "/absent"}, 127, "/absent: can't be run; set BATCHDIGITS_PYTHON"),
    ],
)
def test_a_wrong_setting_ends_the_night_at_once(
    idle: Machine, settings: dict[str, str], code: int, told: str
) -> None:
    """Every delivery would meet the same fault: one line, not one for each."""
    for name in ("a", "b"):
        (idle.incoming / name).touch()
    ended, lines = idle.run(**settings)
    assert ended == code
    assert lines[-1] == f"night.sh: error: {told}"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
