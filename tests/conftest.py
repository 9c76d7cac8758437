"""What holds for every test: no settings from outside, no deadline that a busy machine can miss."""

import os

import pytest
from hypothesis import settings

settings.register_profile("batchdigits", deadline=None)
settings.load_profile("batchdigits")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("BATCHDIGITS_") and not name.startswith("BATCHDIGITS_AIRFLOW"):
            monkeypatch.delenv(name)
