"""A day in the life of a bundle, by real commands: signed, promoted, replaced, rolled back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT, SAMPLE_DATA

from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.store.choice import packaged_bundle
from batchdigits.store.store import Store

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment() -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if "BATCHDIGITS" not in name}
    return {**kept, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run `python -m batchdigits.COMMAND …` in a folder of its own and check its exit code."""

    def run(command: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", f"batchdigits.{command}", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


def split_samples(folder: Path) -> None:
    """Write rows to learn from, rows to judge by, and unlabelled rows for the night."""
    header, *rows = (SAMPLE_DATA / "digits.csv").read_text().splitlines()
    names = header.split(",")
    label = names.index("label")
    for name, part in (("learn.csv", rows[:900]), ("judge.csv", rows[900:1500])):
        (folder / name).write_text("\n".join([header, *part]) + "\n")
    bare = [cells[:label] + cells[label + 1 :] for cells in (row.split(",") for row in rows[1500:])]
    lines = [",".join(names[:label] + names[label + 1 :]), *map(",".join, bare)]
    (folder / "night.csv").write_text("\n".join(lines) + "\n")


@dataclass(frozen=True, slots=True)
class Day:
    """The commands of an operator, with their fixed arguments."""

    folder: Path
    run: Run

    def train(self, version: int, *settings: str) -> str:
        """Publish the next version; return its digest."""
        quick = ("--data", "learn.csv", "--calibration-folds", "0")
        summary = json.loads(self.run("train", *quick, *settings).stdout)
        assert summary["version"] == str(version)
        return str(summary["digest"])

    def sign(self, version: int) -> None:
        self.run("bundles", "sign", f"digits@{version}", "--key", "ops.key")

    def promote(self, version: int, code: int = 0) -> str:
        """Promote a version; return its standard error."""
        gate = ("--alias", "production", "--data", "judge.csv")
        return self.run("bundles", "promote", f"digits@{version}", *gate, code=code).stderr

    def predict(self, *more: str, code: int = 0) -> Any:
        """Score the night's rows; return the status of the input."""
        night = ("night.csv", "--bundle", "digits@production", *more)
        return json.loads(self.run("predict", *night, code=code).stdout)["inputs"][0]["status"]

    def scored_by(self) -> tuple[str, str]:
        """Return version and digest from the receipt."""
        bundle = json.loads((self.folder / "night.receipt.json").read_text())["bundle"]
        assert bundle["signed_by"]
        return bundle["version"], bundle["digest"]

    def predictions(self) -> bytes:
        return (self.folder / "night.predictions.csv").read_bytes()


@pytest.mark.slow
def test_a_day_in_the_life(tmp_path: Path, run: Run, environment: dict[str, str]) -> None:
    """Train and promote v1, refuse a worse v2, promote a better v3, and go back to v1."""
    for needed in ("tensorflow", "cryptography"):
        pytest.importorskip(needed)
    split_samples(tmp_path)
    day = Day(tmp_path, run)

    # The operator's keys; from now on nothing unsigned scores or is promoted.
    run("bundles", "keygen", "ops")
    (tmp_path / "trusted").mkdir(mode=0o700)
    shutil.copy(tmp_path / "ops.pub", tmp_path / "trusted")
    environment |= {"BATCHDIGITS_REQUIRE_SIGNATURE": "1", "BATCHDIGITS_TRUSTED_KEYS": "trusted"}

    first = day.train(1, "--units", "24", "--epochs", "4", "--copies", "0")
    assert "sign" in day.promote(1, code=78)
    day.sign(1)
    day.promote(1)
    assert day.predict() == "scored"
    assert day.scored_by() == ("1", first)
    by_first = day.predictions()

    # A worse version: the gate says why not, and the night goes on unchanged.
    day.train(2, "--units", "2", "--epochs", "1", "--copies", "0")
    day.sign(2)
    refused = day.promote(2, code=78)
    assert refused.count("\n") == 1
    assert "digits@2: accuracy" in refused
    assert "digits@production stays at digits@1" in refused
    assert day.predict() == "unchanged"

    # A better version: look at the difference, then promote.
    third = day.train(3, "--units", "200", "--epochs", "10", "--copies", "4")
    day.sign(3)
    words = ("bundles", "diff", "digits@production", "digits@3", "--data", "judge.csv")
    found = json.loads(run(*words, "--json").stdout)
    assert found["new"]["accuracy"] > found["old"]["accuracy"]
    assert found["improved"] > found["worsened"]
    assert "rows flip" in run(*words).stdout
    day.promote(3)

    # predict uses it, and replaces the outputs of another bundle only with --overwrite.
    assert day.predict(code=73) == "refused"
    assert day.predict("--overwrite") == "scored"
    assert day.scored_by() == ("3", third)
    assert day.predictions() != by_first

    why = ("--reason", "7 read as 1")
    back = run("bundles", "rollback", "digits", "--alias", "production", *why).stdout
    assert back == f"digits@production: version 1 (rolled back from 3), {first}\n"
    assert day.predict("--overwrite") == "scored"
    assert day.scored_by() == ("1", first)
    assert day.predictions() == by_first
    run("receipts", "verify", "night.receipt.json")

    lines = run("bundles", "history", "digits", "--json").stdout.splitlines()
    moves = [json.loads(line) for line in lines]
    told = [(move["action"], move["was"], move["version"], move["reason"]) for move in moves]
    assert told == [
        ("promote", None, 1, ""),
        ("promote", 1, 3, ""),
        ("rollback", 3, 1, "7 read as 1"),
    ]
    pruned = json.loads(run("bundles", "prune", "digits", "--keep", "1", "--json").stdout)
    assert (pruned["removed"], list(pruned["kept"])) == ([2], ["1", "3"])


def test_a_run_keeps_the_bundle_that_its_alias_meant_at_its_start(
    tmp_path: Path, run: Run, environment: dict[str, str]
) -> None:
    """A promotion during a run changes the next run; each receipt names its own digest."""
    packaged = read_bundle(packaged_bundle())
    members = {name: data for name, data in packaged.members.items() if name != "manifest.json"}
    store = Store(tmp_path / "bundles")
    for _ in range(2):
        store.publish(
            "digits",
            lambda version: build_bundle(
                replace(packaged.manifest, name="digits", version=version), members
            ),
        )
    store.set_alias("digits", "production", 1)
    lines = (SAMPLE_DATA / "digits.csv").read_bytes().splitlines(keepends=True)
    command = [sys.executable, "-m", "batchdigits.predict", "-", "--bundle", "digits@production"]
    with subprocess.Popen(
        [*command, "--output", "one.csv"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:
        assert running.stdin is not None
        running.stdin.writelines(lines[:600])
        running.stdin.flush()
        started = time.monotonic()
        while not list(tmp_path.glob(".one*.tmp")):
            assert time.monotonic() - started < 60, "the run opens its output once it has a bundle"
            time.sleep(0.01)
        run("bundles", "promote", "digits@2", "--alias", "production")
        running.stdin.writelines(lines[600:])
        running.stdin.close()
        assert running.wait(timeout=60) == 0
    (tmp_path / "two.csv").write_bytes(b"".join(lines))
    run("predict", "two.csv", "--bundle", "digits@production")
    for name, version in (("one", 1), ("two", 2)):
        bundle = json.loads((tmp_path / f"{name}.receipt.json").read_text())["bundle"]
        assert bundle["version"] == str(version)
        assert bundle["digest"] == read_bundle(store.path("digits", version)).digest
