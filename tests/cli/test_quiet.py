"""Standard error while a noisy framework is imported."""

import os
import subprocess
import sys

import pytest

from batchdigits.cli.quiet import as_command, quiet_descriptor
from batchdigits.errors import InterruptedRunError


def noise() -> None:
    os.write(2, b"noise of a framework\n")


def test_in_a_command_the_noise_of_an_import_is_hidden(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with as_command():
        with quiet_descriptor():
            noise()
        os.write(2, b"ours\n")
    assert capfd.readouterr().err == "ours\n"


def test_the_noise_of_a_failed_import_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        noise()
        raise ImportError("no such library")

    with as_command(), pytest.raises(ImportError, match="no such library"), quiet_descriptor():
        fail()
    assert capfd.readouterr().err == "noise of a framework\n"


def test_other_programs_keep_their_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_descriptor():
        noise()
    assert capfd.readouterr().err == "noise of a framework\n"


def test_a_command_without_a_standard_error_goes_on() -> None:
    """A crontab may close standard error."""
    script = (
        "from batchdigits.cli.quiet import as_command, quiet_descriptor\n"
        "with as_command(), quiet_descriptor(): print('went on')"
    )
    words = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, script]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "went on\n"


def test_a_command_without_a_place_for_temporary_files_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A container may have a read-only file system: then the noise stays."""

    def refuse() -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with as_command(), quiet_descriptor():
        noise()
    assert capfd.readouterr().err == "noise of a framework\n"


def test_an_interrupt_during_an_import_shows_no_noise(capfd: pytest.CaptureFixture[str]) -> None:
    """The one line of the interrupt comes alone."""

    def interrupt() -> None:
        noise()
        raise InterruptedRunError(2)

    with as_command(), pytest.raises(InterruptedRunError), quiet_descriptor():
        interrupt()
    assert capfd.readouterr().err == ""
