"""jobs/systemd: what the unit runs, and what each exit code leads to under it."""

from __future__ import annotations

import shlex

from pages import code, table
from paths import ROOT

from batchdigits.errors import PRECEDENCE
from batchdigits.predict import parser

FOLDER = ROOT / "jobs" / "systemd"
PAGE = (ROOT / "docs" / "systemd.md").read_text(encoding="utf-8")


def settings(unit: str) -> dict[str, list[str]]:
    """The settings of a unit by name, each with its values in order."""
    found: dict[str, list[str]] = {}
    text = (FOLDER / unit).read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


SERVICE = settings("batchdigits.service")


def codes(name: str) -> set[int]:
    return {int(word) for value in SERVICE[name] for word in value.split()}


def outcome(exit_code: int) -> str:
    """What systemd does with Restart=on-failure, as systemd.service(5) says."""
    assert SERVICE["Restart"] == ["on-failure"]
    if exit_code in {0} | codes("SuccessExitStatus"):
        return "done"
    return "fails" if exit_code in codes("RestartPreventExitStatus") else "again"


def test_the_page_has_what_every_exit_code_leads_to() -> None:
    rows = {int(code(row[0])): row[1] for row in table(PAGE, "exit code")}
    assert rows == {exit_code: outcome(exit_code) for exit_code in sorted(PRECEDENCE)}
    assert [exit_code for exit_code, what in rows.items() if what == "again"] == [
        70,
        74,
        75,
        129,
        130,
        143,
    ]


def test_the_command_has_flags_that_predict_knows() -> None:
    (command,) = SERVICE["ExecStart"]
    variables = dict(
        word.split("=", 1) for value in SERVICE["Environment"] for word in value.split()
    )
    for name, value in variables.items():
        command = command.replace(f"${{{name}}}", value)
    assert "$" not in command
    _, *words = shlex.split(command)
    assert words[:3] == ["-P", "-m", "batchdigits.predict"]
    given = parser().parse_args(words[3:])
    assert (given.allow_empty, given.on_other, given.max_drift) == (True, "keep", "0.25")
    assert [given.output] == SERVICE["ReadWritePaths"]


def test_a_night_that_the_machine_slept_through_is_caught_up() -> None:
    timer = settings("batchdigits.timer")
    assert timer["Persistent"] == ["true"]
    assert timer["OnCalendar"] == ["*-*-* 04:10:00"]
