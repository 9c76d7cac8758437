"""A real Chromium, which `.ci/browser` names in $CHROMIUM."""

from __future__ import annotations

import os
from typing import Any


def launched(playwright: Any) -> Any:
    """Start the browser; root can't have its sandbox."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=arguments)
