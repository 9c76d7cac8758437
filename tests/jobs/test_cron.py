"""The lines of jobs/cron/rows.crontab, as cron runs them: a bare environment, /bin/sh."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import FORMAT_1_BUNDLE, ROOT

from batchdigits.store.store import Store

CRONTAB = ROOT / "jobs" / "cron" / "rows.crontab"
LONGEST_COMMAND = 999  # characters: what Debian's cron takes

WriteForms = Callable[..., Path]
PredictStoppedMidway = Callable[[Path, Path], AbstractContextManager[None]]


@dataclass(frozen=True)
class Crontab:
    """The crontab as cron reads it: settings, and commands by the module that they begin with."""

    settings: dict[str, str]
    commands: tuple[str, ...]

    @classmethod
    def read(cls) -> Crontab:
        """Parse the file as crontab(5) says: a `\\%` of a command is a percent sign."""
        settings, commands = {}, []
        for line in CRONTAB.read_text().splitlines():
            if setting := re.fullmatch(r"(\w+)=(.*)", line):
                settings[setting[1]] = setting[2]
            elif line and not line.startswith("#"):
                command = re.fullmatch(r"(?:[\d*/,-]+\s+){5}(.*)", line)
                assert command is not None, line
                assert not re.search(r"(?<!\\)%", command[1]), "cron ends a command at a bare %"
                commands.append(command[1].replace("\\%", "%"))
        return cls(settings, tuple(commands))

    def command(self, module: str) -> str:
        """The one command that runs this module first."""
        (found,) = (line for line in self.commands if f"-m batchdigits.{module}" in line)
        return found


@dataclass(frozen=True)
class Machine:
    """The folders named in the settings, and cron."""

    store: Path
    incoming: Path
    scored: Path
    logs: Path
    labelled: Path

    def run(
        self, module: str, cwd: str | Path = "/", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the crontab on these folders."""
        crontab = Crontab.read()
        environment = {
            **crontab.settings,
            "BATCHDIGITS_PYTHON": sys.executable,
            "BATCHDIGITS_STORE": str(self.store),
            "INCOMING": str(self.incoming),
            "SCORED": str(self.scored),
            "LOGS": str(self.logs),
            "LABELLED": str(self.labelled),
            **settings,
        }
        assert environment.keys() == crontab.settings.keys()
        return subprocess.run(
            [environment["SHELL"], "-c", crontab.command(module)],
            env={**environment, "PYTHONPATH": str(ROOT)},  # the tests need no installation
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )

    def summaries(self) -> list[dict[str, Any]]:
        """Return the summaries that the nightly runs logged."""
        (log,) = self.logs.glob("predict-20[0-9][0-9]-[01][0-9].jsonl")
        return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a production bundle, and spaces in the names of its folders."""
    home = tmp_path / "the data"
    names = ("bundles", "incoming", "scored", "logs")
    for name in names:
        (home / name).mkdir(parents=True)
    store = Store(home / "bundles")
    store.publish("digits", lambda _version: FORMAT_1_BUNDLE.read_bytes())
    store.set_alias("digits", "production", 1)
    return Machine(*(home / name for name in (*names, "labelled.parquet")))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_delivered_module_is_not_run(machine: Machine) -> None:
    """`python -m` looks for modules in the current folder first, and others deliver there."""
    for name in ("numpy", "pyarrow", "argparse", "batchdigits"):
        (machine.incoming / f"{name}.py").write_text("raise SystemExit('taken over')\n")
    done = machine.run("predict", cwd=machine.incoming)
    assert "taken over" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_every_variable_is_a_setting_and_every_command_fits() -> None:
    """Cron gives a command nothing but the settings, and cuts what is too long."""
    crontab = Crontab.read()
    assert len(crontab.commands) == 2
    for command in crontab.commands:
        assert set(re.findall(r"\$(?!code\b)(\w+)", command)) <= crontab.settings.keys()
        assert len(command) <= LONGEST_COMMAND


def test_a_good_night_is_silent_and_logged(machine: Machine, write_forms: WriteForms) -> None:
    """The files are published, one line is logged, and the next night finds nothing to do."""
    for name in ("a.parquet", "b.parquet"):
        write_forms(machine.incoming / name)
    for status in ("scored", "unchanged"):
        night = machine.run("predict")
        assert (night.returncode, night.stdout, night.stderr) == (0, "", "")
        assert [entry["status"] for entry in machine.summaries()[-1]["inputs"]] == [status] * 2
    assert names(machine.scored) == [
        *("a.predictions.parquet", "a.receipt.json"),
        *("b.predictions.parquet", "b.receipt.json"),
    ]


def test_a_broken_file_is_one_line_to_mail(machine: Machine, write_forms: WriteForms) -> None:
    """The line names the file; the other file is scored."""
    good = write_forms(machine.incoming / "a.parquet")
    (machine.incoming / "b.parquet").write_bytes(good.read_bytes()[:3000])
    night = machine.run("predict")
    assert night.returncode == 65
    assert len(night.stderr.splitlines()) == 1
    assert f"{machine.incoming / 'b.parquet'}: can't be read as Parquet" in night.stderr
    assert names(machine.scored) == ["a.predictions.parquet", "a.receipt.json"]


@pytest.mark.parametrize(("allowed", "code", "lines"), [("9%", 3, 1), ("10%", 0, 0)])
def test_more_rejects_than_allowed_are_one_line_to_mail(
    machine: Machine, write_forms: WriteForms, allowed: str, code: int, lines: int
) -> None:
    """The file is published anyway, with its rejects."""
    write_forms(machine.incoming / "a.parquet", out_of_range=2)
    night = machine.run("predict", MAX_REJECTS=allowed)
    assert night.returncode == code
    assert len(night.stderr.splitlines()) == lines
    assert names(machine.scored) == [
        *("a.predictions.parquet", "a.receipt.json", "a.rejects.parquet"),
    ]
    assert machine.summaries()[0]["rows_rejected"] == 2


def test_a_file_that_drifted_is_one_line_to_mail(machine: Machine, write_forms: WriteForms) -> None:
    """It is published, and reported again until it is moved away or allowed."""
    write_forms(machine.incoming / "a.parquet", rows=500)
    for status in ("scored", "unchanged"):
        night = machine.run("predict")
        assert night.returncode == 4
        (line,) = night.stderr.splitlines()
        assert "more than --max-drift 0.25" in line
        assert machine.summaries()[-1]["inputs"][0]["status"] == status
    assert names(machine.scored) == ["a.predictions.parquet", "a.receipt.json"]
    assert machine.run("predict", MAX_DRIFT="1").returncode == 0


def test_a_night_without_a_delivery_is_silent(machine: Machine) -> None:
    """Weekends have none; a folder that is not there is still one line."""
    night = machine.run("predict")
    assert (night.returncode, night.stdout, night.stderr) == (0, "", "")
    night = machine.run("predict", INCOMING="/absent/")
    assert night.returncode == 66
    assert len(night.stderr.splitlines()) == 1


def test_overlapping_nights_are_safe(
    machine: Machine, predict_stopped_midway: PredictStoppedMidway
) -> None:
    """The later run leaves the file to the earlier; after a crash the next night finishes it."""
    with predict_stopped_midway(machine.incoming / "a.parquet", machine.scored):
        night = machine.run("predict")
        assert night.returncode == 75
        assert len(night.stderr.splitlines()) == 1
    night = machine.run("predict", MAX_DRIFT="1")
    assert (night.returncode, night.stderr) == (0, "")
    assert names(machine.scored) == ["a.predictions.parquet", "a.receipt.json"]


@pytest.mark.slow
def test_retraining_publishes_a_version_and_promotes_nothing(machine: Machine) -> None:
    """Silent on success; the table is logged, and the production alias does not move."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    columns = {f"pixel_{n}": values for n, values in enumerate(pixels[:300].T.astype(np.uint8))}
    pq.write_table(pa.table({**columns, "label": labels[:300]}), machine.labelled)
    week = machine.run("train")
    assert (week.returncode, week.stdout, week.stderr) == (0, "", "")
    store = Store(machine.store)
    assert store.versions("digits") == [1, 2]
    assert store.aliases("digits") == {"production": 1}
    assert json.loads((machine.logs / "train.jsonl").read_text())["version"] == "2"
    assert (machine.logs / "train.log").read_text().splitlines()[-1].startswith("digits: ok, ")


@pytest.mark.slow
def test_a_failed_retraining_is_one_line_to_mail(machine: Machine, write_forms: WriteForms) -> None:
    """Rows without labels can't be trained on, and the line says what is missing."""
    write_forms(machine.labelled)
    week = machine.run("train")
    assert week.returncode == 65
    assert len(week.stderr.splitlines()) == 1
    assert str(machine.labelled) in week.stderr
    assert Store(machine.store).versions("digits") == [1]
