"""The subcommands of bundles, on a store of three versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from pin_inputs import unpack
from pin_runs import Pins, keep_run, own_folder, packaged_bundle, record_steps, run_here

STORE = ("--store", "store")
DATA = ("--data", "digits.parquet")
Steps = tuple[tuple[str, ...], ...]

FLOWS: dict[str, Steps] = {
    "list": (
        ("list", "--json", *STORE),
        ("list", *STORE),
        ("list", "digits", "--json", *STORE),
        ("list", "--json"),
    ),
    "show": (
        ("show", "digits@1", "--json", *STORE),
        ("show", "digits", "--json", *STORE),
        ("show", "--json"),
        ("show", "digits@2", *STORE),
    ),
    "verify": (
        ("verify", "digits@1", "digits@2", "digits", "./nan.bundle", "--json", *STORE),
        ("verify", "digits", *STORE),
        ("verify", "digits@1", "./flipped.bundle", "--json", *STORE),
    ),
    "diff": (
        ("diff", "digits@1", "digits@2", *DATA, "--json", *STORE),
        ("diff", "digits@1", "digits@2", *DATA, "--json", "--flips", "2", *STORE),
        ("diff", "digits@2", "digits@3", *DATA, "--json", *STORE),
        ("diff", "digits@1", "./nan.bundle", "--data", "few.csv", "--json", *STORE),
        ("diff", "digits@1", "digits@2", "--data", "numbers.csv", "--json", *STORE),
        ("diff", "digits@1", "digits@2", "--data", "bad.csv", "--json", *STORE),
        ("diff", "digits@1", "digits@2", *DATA, *STORE),
    ),
    "aliases": (
        ("promote", "digits@1", "--alias", "production", "--reason", "the first", *STORE),
        ("promote", "digits@2", "--alias", "production", *DATA, *STORE),
        ("promote", "digits@2", "--alias", "production", *STORE),
        ("promote", "digits@1", "--alias", "production", *DATA, *STORE),
        (
            *("promote", "digits@1", "--alias", "production", *DATA),
            "--max-regression",
            "9%",
            *STORE,
        ),
        ("promote", "digits@3", "--alias", "night", *STORE),
        ("history", "digits", "--alias", "production", "--json", *STORE),
        ("history", "digits", "--alias", "night", "--json", *STORE),
        ("rollback", "digits", "--alias", "production", "--reason", "7 read as 1", *STORE),
        ("rollback", "digits", "--alias", "production", *STORE),
        ("rollback", "digits", "--alias", "production", *STORE),
        ("rollback", "digits", "--alias", "night", *STORE),
        ("history", "digits", "--alias", "production", "--json", *STORE),
        ("list", "--json", *STORE),
        ("verify", "digits@production", "digits@night", "--json", *STORE),
        ("history", "digits", *STORE),
    ),
    "prune": (
        ("prune", "digits", "--keep", "1", "--dry-run", "--json", *STORE),
        ("promote", "digits@1", "--alias", "production", *STORE),
        ("prune", "digits", "--keep", "1", "--dry-run", "--json", *STORE),
        ("prune", "digits", "--keep", "1", "--json", *STORE),
        ("prune", "digits", "--keep", "1", *STORE),
        ("list", "--json", *STORE),
    ),
    "export": (
        ("export", "digits@2", "--onnx", "a.onnx", "--json", *STORE),
        ("export", "digits@2", "--keras", "a.keras", "--onnx", "b.onnx", "--json", *STORE),
        ("export", "digits@1", "--onnx", "a.onnx", "--json", *STORE),
        ("export", "digits@1", "--onnx", "a.onnx", "--overwrite", "--json", *STORE),
        ("export", "digits@1", "--keras", "c.keras", *STORE),
    ),
}


def record(pins: Pins, inputs: Path) -> None:
    files = ("digits.parquet", "few.csv", "bad.csv", "numbers.csv", "nan.bundle", "flipped.bundle")
    for name, steps in FLOWS.items():
        with own_folder(name, [inputs / one for one in files]):
            make_store(inputs)
            record_steps(pins, name, [("bundles", *argv) for argv in steps])
    _record_damaged_store(pins, inputs)
    _record_exported_bytes(pins, inputs)
    pins.keep("members of the packaged bundle", sorted(unpack(packaged_bundle().read_bytes())))


def make_store(inputs: Path) -> None:
    """Version 1 is the old bundle, 2 `digits` 2, 3 the packaged one with another threshold."""
    folder = Path("store/digits")
    folder.mkdir(parents=True)
    for version, name in enumerate(("old", "second", "strict"), 1):
        shutil.copy(inputs / f"{name}.bundle", folder / f"digits-{version}.bundle")
    (folder / ".highest").write_text("3\n", encoding="utf-8")


def _record_damaged_store(pins: Pins, inputs: Path) -> None:
    with own_folder("damaged"):
        make_store(inputs)
        shutil.copy(inputs / "cut.bundle", "store/digits/digits-2.bundle")
        _write_aliases(Path("store/digits/aliases"))
        commands = (
            ("bundles", "list", "--json", *STORE),
            ("bundles", "history", "digits", "--json", *STORE),
            ("bundles", "verify", "digits@2", "digits@night", "--json", *STORE),
        )
        record_steps(pins, "damaged", commands)


def _write_aliases(folder: Path) -> None:
    """Moves at known times, one of them as earlier versions wrote it."""
    folder.mkdir()
    at, by = "2026-11-2{}T08:12:40Z", "ops@night1"
    first = {"version": 1, "at": at.format(0), "by": by}
    second = {"version": 3, "at": at.format(3), "by": by, "action": "promote", "reason": "a\nb"}
    third = {"version": 1, "at": at.format(5), "by": by, "action": "rollback", "reason": ""}
    other = {"version": 3, "at": at.format(4), "by": by, "action": "promote", "reason": "new"}
    histories = {"night": [first, second, third], "production": [other]}
    for alias, history in histories.items():
        text = json.dumps({"history": history})
        (folder / f"{alias}.json").write_text(text, encoding="utf-8")


def _record_exported_bytes(pins: Pins, inputs: Path) -> None:
    """An exported model is the bundle's member, byte for byte."""
    with own_folder("exported", [inputs / "packaged.bundle"]):
        argv = ("bundles", "export", "./packaged.bundle", "--onnx", "a.onnx", "--keras", "a.keras")
        keep_run(pins, "exported", argv, run_here(*argv), ["a.keras", "a.onnx"])
        members = unpack(Path("packaged.bundle").read_bytes())
        same = {
            name: Path(f"a.{name.rpartition('.')[2]}").read_bytes() == members[name]
            for name in ("model.keras", "model.onnx")
        }
        pins.keep("exported models are the bundle's members", same)
