"""jobs/cron/pages.crontab, started by Debian's cron; run by .ci/scheduling."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paths import ROOT, SAMPLE_DATA

pytestmark = pytest.mark.scheduling

CRONTAB = ROOT / "jobs" / "cron" / "pages.crontab"
SENDMAIL = Path("/usr/sbin/sendmail")
PATIENCE = 180.0  # seconds: cron starts a job at the beginning of the next minute


def with_settings(text: str, settings: dict[str, str]) -> str:
    """Change settings of the crontab, and let its job begin every minute."""
    for name, value in settings.items():
        text, count = re.subn(rf"(?m)^{name}=.*$", lambda _, n=name, v=value: f"{n}={v}", text)
        assert count == 1, name
    text, count = re.subn(r"(?m)^10 2 \* \* \*", "* * * * *", text)
    assert count == 1
    return f"PYTHONPATH={ROOT}\n{text}"  # the tests need no installation


@contextmanager
def cron(crontab: str, mails: Path) -> Iterator[None]:
    """Debian's cron with this crontab of root; what it mails is appended to a file."""
    before = subprocess.run(["crontab", "-l"], capture_output=True, text=True, check=False)
    assert not SENDMAIL.exists(), "this machine has a mailer: the test would send mail"
    SENDMAIL.write_text(f'#!/bin/sh\ncat >> "{mails}"\n')
    SENDMAIL.chmod(0o755)
    process = None
    try:
        subprocess.run(["crontab", "-"], input=crontab, text=True, check=True)
        process = subprocess.Popen(["cron", "-f"])
        yield
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        SENDMAIL.unlink()
        if before.returncode == 0:
            subprocess.run(["crontab", "-"], input=before.stdout, text=True, check=True)
        else:
            subprocess.run(["crontab", "-r"], check=True)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_cron_starts_the_night_and_mails_one_line_for_a_page_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    """The settings reach the script as cron hands them on, with a space in a path."""
    home = tmp_path / "the data"
    (home / "templates").mkdir(parents=True)
    shutil.copy(SAMPLE_DATA / "form" / "form.json", home / "templates")
    shutil.copy(SAMPLE_DATA / "form" / "blank.png", home / "templates")
    delivery = home / "incoming" / "2026-11-27"
    delivery.mkdir(parents=True)
    shutil.copy(SAMPLE_DATA / "form" / "page.png", delivery)
    (delivery / "z.png").write_bytes((SAMPLE_DATA / "form" / "page.png").read_bytes()[:3000])
    settings = {
        "NIGHT": str(ROOT / "jobs" / "cron" / "night.sh"),
        "BATCHDIGITS_PYTHON": sys.executable,
        "BATCHDIGITS_STORE": str(home / "bundles"),
        "BATCHDIGITS_BUNDLE": str(ROOT / "batchdigits" / "data" / "digits-3.bundle"),
        "INCOMING": str(home / "incoming"),
        "TEMPLATES": str(home / "templates"),
        "NIGHTS": str(home / "nights"),
        "LOGS": str(home / "logs"),
        "MAX_DRIFT": "1",
    }
    mails = tmp_path / "mails"
    with cron(with_settings(CRONTAB.read_text(), settings), mails):
        wait_for(mails.exists)
    mail, _, body = mails.read_text().partition("\n\n")
    assert "To: operators@example.com" in mail
    (line,) = body.splitlines()
    assert "1 of 2 pages" in line
    night = home / "nights" / "2026-11-27"
    for name in ("fields.parquet", "night.html", "review/index.html"):
        assert (night / name).exists()
