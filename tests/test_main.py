"""The console script: it knows its commands, and each has help."""

import pytest

from batchdigits import __version__
from batchdigits.__main__ import COMMANDS, main


def test_the_console_script_knows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert __version__ in out
    assert all(command in out for command in COMMANDS)
    assert main(["frobnicate"]) == 2
    assert "use one of predict, train, evaluate, bundles" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  python -m batchdigits.{command}" in text
