"""What `receipts verify` says of runs that hold, and of runs that do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pin_runs import Pins, keep_run, own_folder, record_steps, run_here, run_process

VERIFY = ("receipts", "verify", "--json")
SCORED: dict[str, tuple[str, ...]] = {
    "holds-csv": ("few.csv",),
    "holds-parquet": ("few.parquet", "--probabilities"),
    "holds-rejects": ("bad.csv",),
    "holds-rejects-parquet": ("reasons.csv", "--output", "day.parquet"),
    "holds-options": ("scaled.csv", "--scale", "240", "--keep", "label"),
    "holds-review": ("few.csv", "--review-below", "0.995", "--strangeness"),
    "holds-no-rows": ("header.csv",),
    "holds-sample": ("digits.parquet",),
}


def _forge_prediction(folder: Path) -> None:
    path = folder / "few.predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    cells[4] = "7"
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n", encoding="utf-8")


def _miscount(folder: Path) -> None:
    path = folder / "few.receipt.json"
    receipt = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**receipt, "rows_in": 13}), encoding="utf-8")


def _forget_options(folder: Path) -> None:
    path = folder / "few.receipt.json"
    receipt = json.loads(path.read_text(encoding="utf-8"))
    del receipt["options"]
    path.write_text(json.dumps(receipt), encoding="utf-8")


DAMAGE: dict[str, Callable[[Path], None]] = {
    "a-prediction-is-forged": _forge_prediction,
    "predictions-are-gone": lambda folder: (folder / "few.predictions.csv").unlink(),
    "the-input-is-gone": lambda folder: (folder / "few.csv").unlink(),
    "the-input-changed": lambda folder: (folder / "few.csv").write_bytes(b"pixel_0\n1\n"),
    "the-receipt-counts-wrong": _miscount,
    "the-receipt-lacks-its-options": _forget_options,
    "there-are-rejects-too": lambda folder: (folder / "few.rejects.csv").write_bytes(b"input\n"),
}


def record(pins: Pins, inputs: Path) -> None:
    for name, argv in SCORED.items():
        with own_folder(name, [inputs / argv[0]]):
            run_here("predict", *argv)
            (receipt,) = Path().glob("*.receipt.json")
            record_steps(pins, name, [(*VERIFY, receipt.name)])
    for name, change in DAMAGE.items():
        with own_folder(name, [inputs / "few.csv"]) as folder:
            run_here("predict", "few.csv")
            change(folder)
            record_steps(pins, name, [(*VERIFY, "few.receipt.json")])
    _record_flags(pins, inputs)
    _record_standard_input(pins, inputs)


def _record_flags(pins: Pins, inputs: Path) -> None:
    one = (*VERIFY, "few.receipt.json")
    with own_folder("flags", [inputs / "few.csv", inputs / "bad.csv", inputs / "old.bundle"]):
        run_here("predict", "few.csv")
        run_here("predict", "bad.csv", "--bundle", "./old.bundle")
        Path("elsewhere").mkdir()
        shutil.copy("few.csv", "elsewhere/moved.csv")
        Path("store/digits").mkdir(parents=True)
        shutil.copy("old.bundle", "store/digits/digits-1.bundle")
        cases: dict[str, tuple[str, ...]] = {
            "sample-of-five": (*one, "--sample", "5"),
            "sample-of-none": (*one, "--sample", "0"),
            "input-elsewhere": (*one, "--input", "elsewhere/moved.csv"),
            "input-is-another": (*one, "--input", "bad.csv"),
            "bundle-is-another": (*one, "--bundle", "./old.bundle"),
            "bundle-not-found": (*VERIFY, "bad.receipt.json"),
            "bundle-in-the-store": (*VERIFY, "bad.receipt.json", "--store", "store"),
            "several": (*VERIFY, "few.receipt.json", "bad.receipt.json", "gone.receipt.json"),
            "as-text": ("receipts", "verify", "few.receipt.json"),
        }
        for name, argv in cases.items():
            record_steps(pins, name, [argv])


def _record_standard_input(pins: Pins, inputs: Path) -> None:
    with own_folder("stdin", [inputs / "few.csv"]):
        data = Path("few.csv").read_bytes()
        run_process("predict", "-", "--output", "day.csv", stdin=data)
        for name, flags in (("alone", ()), ("with-a-copy", ("--input", "few.csv"))):
            argv = (*VERIFY, "day.receipt.json", *flags)
            keep_run(pins, f"standard-input-{name}", argv, run_here(*argv), [])
