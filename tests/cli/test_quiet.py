"""Standard error while a noisy framework is imported."""

import os
import subprocess
import sys

import pytest

from batchdigits.cli.quiet import as_command, quiet_descriptor


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
