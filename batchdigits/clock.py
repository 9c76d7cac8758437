"""Times as text, the same in receipts, manifests, signatures, histories and logs."""

from __future__ import annotations

import time


def utc_text(seconds: float | None = None) -> str:
    """Return seconds since 1970 (None: now) in UTC, as in `2026-01-31T02:00:00Z`."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
