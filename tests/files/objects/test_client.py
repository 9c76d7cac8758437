"""Requests without credentials, without an object, and with settings that can't be used."""

import json
import os
from pathlib import Path

import pytest
from paths import SAMPLE_DATA

from batchdigits.files.objects import client, stores
from batchdigits.predict import main

pytestmark = pytest.mark.cloud

CSV = str(SAMPLE_DATA / "digits.csv")
NAMED = {"s3": "AWS_ACCESS_KEY_ID", "gs": "GOOGLE_APPLICATION_CREDENTIALS", "az": "ACCOUNT_NAME"}


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials in the environment or at home, and no role of a machine."""
    for name in os.environ:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_", "STORAGE_", "BATCHDIGITS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BATCHDIGITS_RETRY_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    stores.open_store.cache_clear()


def only_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.parametrize("scheme", sorted(NAMED))
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("URL", "--output", "o/"), 66),
        ((CSV, "--output", "URL"), 73),
        ((CSV, "--output", "o/", "--bundle", "URL"), 66),
        ((CSV, "--output", "o/", "--store", "URL", "--bundle", "digits"), 66),
    ],
)
def test_no_credentials_are_one_line_that_names_them(
    arguments: tuple[str, ...], code: int, scheme: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{scheme}://no-one/a.csv"
    assert main([argument.replace("URL", url) for argument in arguments]) == code
    line = only_line(capsys)
    assert f"{scheme}://no-one" in line
    assert "no credentials" in line
    assert NAMED[scheme] in line


def test_settings_that_cannot_be_used_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "forms")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "!secret!")
    assert main(["az://b/a.csv", "--output", "o/"]) == 66
    line = only_line(capsys)
    assert "az://b/a.csv: can't be opened" in line
    assert "secret" not in line
    (tmp_path / "key.json").write_text(json.dumps({"client_email": "secret"}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    assert main(["gs://b/a.csv", "--output", "o/"]) == 66
    line = only_line(capsys)
    assert "gs://b/a.csv: can't be opened" in line
    assert "secret" not in line


@pytest.mark.parametrize("name", ["s3://b/absent.bundle", "s3://b/folder/"])
def test_a_bundle_that_is_not_in_the_bucket_is_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from obstore.store import MemoryStore

    store = MemoryStore()
    monkeypatch.setattr(client, "open_store", lambda *_: store)
    assert main([CSV, "--output", "o/", "--bundle", name]) == 78
    assert name.rstrip("/") in only_line(capsys)
