"""Times are written in UTC, whatever the time zone of the machine."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from batchdigits.clock import utc_text


def test_a_time_is_written_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert utc_text(0) == "1970-01-01T00:00:00Z"
        assert utc_text(1769824800.9) == "2026-01-31T02:00:00Z"
        now = datetime.strptime(utc_text(), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    finally:
        monkeypatch.undo()
        time.tzset()
