"""Exit codes: wrong usage, inputs, outputs and bundles, and that nothing is written.

Each entry is a command line that ends with something else than 0. Of each its exit code is kept,
whether there is anything on standard output, how many lines are on standard error, and which files
it touched.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pin_runs import (
    Pins,
    Ran,
    changes,
    forget_settings,
    not_installed,
    own_folder,
    run_here,
    run_process,
    snapshot,
)

OUT = ("--output", "out/")
STRANGE = "sha256:" + "0" * 64

PREDICT: dict[str, tuple[str, ...]] = {
    # usage
    "no-argument": (),
    "unknown-flag": ("few.csv", "--nonsense"),
    "shortened-flag": ("few.csv", "--prob"),
    "flag-without-value": ("few.csv", "--output"),
    "engine": ("few.csv", "--engine", "x"),
    "engine-and-strangeness": ("few.csv", "--engine", "keras", "--strangeness"),
    "workers-none": ("few.csv", "--workers", "0"),
    "workers-word": ("few.csv", "--workers", "two"),
    "max-rejects-word": ("few.csv", "--max-rejects", "few"),
    "max-rejects-comma": ("few.csv", "--max-rejects", "5,5%"),
    "max-rejects-share": ("few.csv", "--max-rejects", "101%"),
    "max-rejects-negative": ("few.csv", "--max-rejects=-1"),
    "max-drift-above": ("few.csv", "--max-drift", "1.5"),
    "max-drift-word": ("few.csv", "--max-drift", "much"),
    "max-drift-nan": ("few.csv", "--max-drift", "nan"),
    "scale-negative": ("few.csv", "--scale=-1"),
    "scale-zero": ("few.csv", "--scale", "0"),
    "scale-infinite": ("few.csv", "--scale", "inf"),
    "review-below": ("few.csv", "--review-below", "1.01"),
    "batch-size-none": ("few.csv", "--batch-size", "0"),
    "batch-size-word": ("few.csv", "--batch-size", "1e3"),
    "keep-twice": ("few.csv", "--keep", "label,label"),
    "pixels-range-of-63": ("few.csv", "--pixels", "p{0..62}"),
    "pixels-63-names": ("few.csv", "--pixels", ",".join(f"a{i}" for i in range(63))),
    "delimiter-letter": ("few.csv", "--delimiter", "a"),
    "delimiter-two": ("few.csv", "--delimiter", ";;"),
    "delimiter-quote": ("few.csv", "--delimiter", '"'),
    "log-format": ("few.csv", "--log-format", "xml"),
    "expect-digest-form": ("few.csv", "--expect-digest", "sha256:12"),
    "output-empty": ("few.csv", "--output", ""),
    "output-is-input": ("few.csv", "--output", "few.csv"),
    "output-suffix": ("few.csv", "--output", "out/day.txt"),
    "output-file-of-several": ("few.csv", "bad.csv", "--output", "day.csv"),
    "outputs-collide": ("few.csv", "few.parquet", *OUT),
    "stdin-and-files": ("-", "few.csv", *OUT),
    "stdin-without-output": ("-",),
    "bundle-without-a-store": ("few.csv", "--store", "no-store"),
    # inputs
    "input-empty-name": ("", *OUT),
    "input-missing": ("gone.csv", *OUT),
    "input-glob-of-nothing": ("gone*.csv", *OUT),
    "input-folder-of-nothing": ("nothing-here", *OUT),
    "input-device": ("/dev/null", *OUT),
    "input-empty-file": ("empty.csv", *OUT),
    "input-utf16": ("utf16.csv", *OUT),
    "input-zip": ("zip.csv", *OUT),
    "input-cut-gzip": ("cut.csv.gz", *OUT),
    "input-no-gzip": ("not-gzip.csv.gz", *OUT),
    "input-cut-parquet": ("cut.parquet", *OUT),
    "input-parquet-as-csv": ("parquet-as.csv", *OUT),
    "input-csv-as-parquet": ("csv-as.parquet", *OUT),
    "input-blank-first-line": ("blank-first.csv", *OUT),
    "input-no-header": ("few-uci.csv", *OUT),
    "input-other-delimiter": ("semicolons.csv", *OUT),
    "input-too-few-pixels": ("short.csv", *OUT),
    "input-column-twice": ("doubled.csv", *OUT),
    "input-reserved-column": ("reserved.csv", *OUT),
    "input-no-row-can-be-scored": ("none-good.csv", *OUT),
    "input-text-pixels": ("text.parquet", *OUT),
    "input-list-of-60": ("list60.parquet", *OUT),
    "input-list-into-csv": ("list.parquet", "--output", "out/day.csv"),
    "input-unknown-pixels": ("foreign.csv", *OUT),
    "input-no-such-pixels": ("few.csv", "--pixels", "q{0..63}", *OUT),
    "input-no-such-column-to-keep": ("few.csv", "--keep", "gone", *OUT),
    "input-inverted": ("inverted.csv", *OUT),
    "input-transposed": ("transposed.csv", *OUT),
    "input-mirrored": ("mirrored.csv", *OUT),
    "input-blank": ("blank.csv", *OUT),
    "input-faint": ("faint.csv", *OUT),
    "input-bright": ("bright.csv", *OUT),
    "input-wrong-scale": ("digits.csv", "--scale", "255", *OUT),
    "inputs-some-bad": ("gone.csv", "empty.csv", *OUT),
    "check-empty-file": ("empty.csv", "--check", *OUT),
    "check-missing": ("gone.csv", "--check", *OUT),
    # outputs
    "output-in-a-file": ("few.csv", "--output", "a-file/day.csv"),
    "output-is-a-folder-of-that-name": ("few.csv", "--output", "in-the-way/"),
    "output-is-a-link": ("few.csv", "--output", "link.csv"),
    "output-is-foreign": ("few.csv", "--output", "foreign-output.csv"),
    "output-receipt-is-damaged": ("few.csv", "--output", "damaged.csv"),
    "output-device": ("few.csv", "--output", "/dev/full"),
    "check-output-in-a-file": ("few.csv", "--check", "--output", "a-file/day.csv"),
    # bundles
    "bundle-missing": ("few.csv", "--bundle", "./gone.bundle", *OUT),
    "bundle-is-a-folder": ("few.csv", "--bundle", "./nothing-here", *OUT),
    "bundle-is-a-link": ("few.csv", "--bundle", "./link.bundle", *OUT),
    "bundle-is-a-csv": ("few.csv", "--bundle", "./few.csv", *OUT),
    "bundle-not-in-store": ("few.csv", "--bundle", "nobody", "--store", "store", *OUT),
    "bundle-no-such-version": ("few.csv", "--bundle", "digits@9", "--store", "store", *OUT),
    "bundle-no-such-alias": ("few.csv", "--bundle", "digits@night", "--store", "store", *OUT),
    "bundle-bad-name": ("few.csv", "--bundle", "Digits!", "--store", "store", *OUT),
    "bundle-other-digest": ("few.csv", "--expect-digest", STRANGE, *OUT),
    "bundle-not-signed": ("few.csv", "--require-signature", "--trusted-keys", "no-keys", *OUT),
    "bundle-signature-without-keys": ("few.csv", "--require-signature", *OUT),
    **{
        f"bundle-{name}": ("few.csv", "--bundle", f"./{name}.bundle", *OUT)
        for name in ("newer", "extra", "lacking", "other-golden", "other-card", "flipped", "cut")
    },
    "bundle-old-and-strangeness": ("few.csv", "--bundle", "./old.bundle", "--strangeness", *OUT),
    "check-bundle-flipped": ("few.csv", "--bundle", "./flipped.bundle", "--check", *OUT),
    # published, and yet
    "published-too-many-rejects": ("bad.csv", "--output", "o1/"),
    "published-too-much-drift": ("threes.csv", "--max-drift", "0.3", "--output", "o2/"),
    "published-beside-a-missing-one": ("few.csv", "gone.csv", "--output", "o3/"),
    "published-with-a-folder-of-keys-that-is-missing": (
        *("few.csv", "--trusted-keys", "gone", "--output", "o6/"),
    ),
    "published-rejects-and-drift": (
        "bad.csv",
        "threes.csv",
        "--max-drift",
        "0.3",
        "--output",
        "o4/",
    ),
}

TRAIN: dict[str, tuple[str, ...]] = {
    "unknown-flag": ("--nonsense",),
    "positional": ("few.csv",),
    "arch": ("--arch", "rnn"),
    "recipe": ("--recipe", "cake"),
    "layers": ("--layers", "11"),
    "units": ("--units", "0"),
    "dropout": ("--dropout", "1"),
    "optimizer": ("--optimizer", "magic"),
    "learning-rate": ("--learning-rate", "11"),
    "epochs": ("--epochs", "0"),
    "batch-size": ("--batch-size", "0"),
    "early-stopping": ("--early-stopping", "0"),
    "copies": ("--copies", "1001"),
    "calibration-folds": ("--calibration-folds", "1"),
    "seed": ("--seed=-1",),
    "split-seed": ("--split-seed=-1",),
    "folds-with-held-out-rows": ("--folds", "5"),
    "scale": ("--scale", "0"),
    "pixels": ("--data", "few.csv", "--pixels", "p{0..62}"),
    "delimiter": ("--data", "few.csv", "--delimiter", "a"),
    "name": ("--name", "Big Digits"),
    "max-error": ("--max-error", "much"),
    "max-error-without-folds": ("--max-error", "1%", "--calibration-folds", "0"),
    "output-and-store": ("--output", "a.bundle", "--store", "store"),
    "output-suffix": ("--output", "a.zip"),
    "output-in-a-store": ("--output", "store/digits/digits-9.bundle"),
    "output-in-no-folder": ("--output", "gone/a.bundle"),
    "output-exists": ("--output", "old.bundle"),
    "output-exists-and-is-no-bundle": ("--output", "cut.bundle", "--overwrite"),
    "store-is-a-file": ("--store", "few.csv"),
    "sweep-missing": ("--sweep", "gone.toml", "--output", "a.bundle"),
    "sweep-no-toml": ("--sweep", "few.csv", "--output", "a.bundle"),
    "sweep-without-held-out-rows": ("--sweep", "sweep.toml", "--test-share", "0"),
    "study-without-sweep": ("--study", "a.study", "--output", "a.bundle"),
}

EVALUATE: dict[str, tuple[str, ...]] = {
    "no-argument": (),
    "stdin": ("-",),
    "twice-the-same": ("few.csv", "./few.csv"),
    "by-twice": ("few.csv", "--by", "field,field"),
    "groups": ("few.csv", "--groups=-1"),
    "review-below": ("few.csv", "--review-below", "2"),
    "max-rejects": ("few.csv", "--max-rejects", "x"),
    "output-suffix": ("few.csv", "--output", "figures.txt"),
    "output-in-no-folder": ("few.csv", "--output", "gone/figures.json"),
    "output-exists": ("few.csv", "--output", "figures.json"),
    "missing": ("gone.csv",),
    "folder-of-nothing": ("nothing-here",),
    "empty-file": ("empty.csv",),
    "no-such-label": ("few.csv", "--label", "digit"),
    "label-is-no-class": ("few.csv", "--label", "field"),
    "no-such-group": ("few.csv", "--by", "gone"),
    "no-label-column": ("numbers.csv",),
    "bundle-missing": ("few.csv", "--bundle", "./gone.bundle"),
    "bundle-other-golden": ("few.csv", "--bundle", "./other-golden.bundle"),
    "one-of-two-is-bad": ("few.csv", "empty.csv"),
    "too-many-rejects": ("bad.csv",),
}

BUNDLES: dict[str, tuple[str, ...]] = {
    "no-command": (),
    "unknown-command": ("burn",),
    "list-no-such-store": ("list", "--store", "no-store"),
    "list-no-such-name": ("list", "nobody", "--store", "store"),
    "show-missing": ("show", "./gone.bundle"),
    "show-cut": ("show", "./cut.bundle"),
    "verify-no-argument": ("verify",),
    "verify-one-of-two": ("verify", "./old.bundle", "./flipped.bundle"),
    "verify-golden": ("verify", "./other-golden.bundle", "--json"),
    "verify-digest-form": ("verify", "./old.bundle", "--expect-digest", "12"),
    "verify-other-digest": ("verify", "./old.bundle", "--expect-digest", STRANGE),
    "verify-engine": ("verify", "./old.bundle", "--engine", "x"),
    "verify-not-signed": ("verify", "./old.bundle", "--require-signature"),
    "diff-no-data": ("diff", "./old.bundle", "./packaged.bundle"),
    "diff-missing-data": ("diff", "./old.bundle", "./packaged.bundle", "--data", "gone.csv"),
    "diff-flips": ("diff", "./old.bundle", "./nan.bundle", "--data", "few.csv", "--flips=-1"),
    "diff-no-label": ("diff", "./old.bundle", "./old.bundle", "--data", "few.csv", "--label", "x"),
    "diff-stdin": ("diff", "./old.bundle", "./old.bundle", "--data", "-"),
    "diff-bad-bundle": ("diff", "./old.bundle", "./cut.bundle", "--data", "few.csv"),
    "promote-no-alias": ("promote", "digits@1", "--store", "store"),
    "promote-path": ("promote", "./old.bundle", "--alias", "a"),
    "promote-bad-alias": ("promote", "digits@1", "--alias", "latest", "--store", "store"),
    "promote-no-such": ("promote", "digits@9", "--alias", "a", "--store", "store"),
    "promote-regression-without-data": (
        *("promote", "digits@1", "--alias", "a", "--store", "store"),
        *("--max-regression", "1%"),
    ),
    "promote-regression-form": (
        *("promote", "digits@1", "--alias", "a", "--store", "store"),
        *("--data", "few.csv", "--max-regression", "2"),
    ),
    "promote-data-without-label": (
        *("promote", "digits@1", "--alias", "a", "--store", "store", "--data", "numbers.csv"),
    ),
    "rollback-no-alias-yet": ("rollback", "digits", "--alias", "night", "--store", "store"),
    "rollback-version": ("rollback", "digits@1", "--alias", "night", "--store", "store"),
    "history-no-such-name": ("history", "nobody", "--store", "store"),
    "history-no-such-alias": ("history", "digits", "--alias", "night", "--store", "store"),
    "prune-no-keep": ("prune", "digits", "--store", "store"),
    "prune-keep-none": ("prune", "digits", "--keep", "0", "--store", "store"),
    "prune-no-such-name": ("prune", "nobody", "--keep", "1", "--store", "store"),
    "prune-version": ("prune", "digits@1", "--keep", "1", "--store", "store"),
    "export-nothing": ("export", "./old.bundle"),
    "export-keras-suffix": ("export", "./old.bundle", "--keras", "a.h5"),
    "export-over-a-file": ("export", "./old.bundle", "--onnx", "few.csv"),
    "export-in-no-folder": ("export", "./old.bundle", "--onnx", "gone/a.onnx"),
    "export-bad-bundle": ("export", "./flipped.bundle", "--onnx", "a.onnx"),
    "export-one-name-twice": ("export", "./old.bundle", "--onnx", "a.keras", "--keras", "a.keras"),
    "keygen-no-folder": ("keygen", "ops", "--output", "gone"),
    "sign-no-key": ("sign", "./old.bundle"),
    "sign-missing-key": ("sign", "./old.bundle", "--key", "gone.key"),
}

RECEIPTS: dict[str, tuple[str, ...]] = {
    "no-command": (),
    "verify-nothing": ("verify",),
    "verify-missing": ("verify", "gone.receipt.json"),
    "verify-no-receipt": ("verify", "few.csv"),
    "verify-other-json": ("verify", "figures.json"),
    "verify-sample": ("verify", "few.receipt.json", "--sample=-1"),
    "verify-one-input-of-two": ("verify", "a.receipt.json", "b.receipt.json", "--input", "few.csv"),
}

TOP: dict[str, tuple[str, ...]] = {
    "no-command": (),
    "unknown-command": ("score", "few.csv"),
    "unknown-flag": ("--nonsense",),
}

TABLES = {
    "predict": PREDICT,
    "train": TRAIN,
    "evaluate": EVALUATE,
    "bundles": BUNDLES,
    "receipts": RECEIPTS,
}

TRAIN_ALL = ("tensorflow", "keras", "onnx", "tf2onnx", "sklearn", "joblib", "pandas")
NOT_INSTALLED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "train": (TRAIN_ALL, ("train", "--output", "a.bundle")),
    "predict-keras": (TRAIN_ALL, ("predict", "few.csv", "--engine", "keras", *OUT)),
    "verify-keras": (TRAIN_ALL, ("bundles", "verify", "./old.bundle", "--engine", "keras")),
    "export-mlflow": (("mlflow",), ("bundles", "export", "./old.bundle", "--mlflow", "flow")),
    "keygen": (("cryptography",), ("bundles", "keygen", "ops")),
    "sweep": (("optuna",), ("train", "--sweep", "sweep.toml", "--output", "a.bundle")),
}

SETTINGS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "log-format": ({"BATCHDIGITS_LOG_FORMAT": "xml"}, ("predict", "few.csv", *OUT)),
    "workers": ({"BATCHDIGITS_WORKERS": "many"}, ("predict", "few.csv", *OUT)),
    "bundle": ({"BATCHDIGITS_BUNDLE": "./gone.bundle"}, ("predict", "few.csv", *OUT)),
    "digest": ({"BATCHDIGITS_EXPECT_DIGEST": STRANGE}, ("predict", "few.csv", *OUT)),
    "signature": ({"BATCHDIGITS_REQUIRE_SIGNATURE": "yes"}, ("predict", "few.csv", *OUT)),
    "store": ({"BATCHDIGITS_STORE": "no-store"}, ("bundles", "verify", "digits")),
    "json-messages": ({"BATCHDIGITS_LOG_FORMAT": "json"}, ("predict", "gone.csv", *OUT)),
}


def record(pins: Pins, inputs: Path) -> None:
    with own_folder("exits", sorted(inputs.iterdir())):
        _prepare()
        for command, table in TABLES.items():
            for name, argv in table.items():
                _record_one(pins, f"{command}: {name}", (command, *argv))
        for name, argv in TOP.items():
            _record_one(pins, f"batchdigits: {name}", argv)
        for name, (packages, argv) in NOT_INSTALLED.items():
            _record_one(pins, f"not installed: {name}", argv, not_installed(*packages))
        for name, (variables, argv) in SETTINGS.items():
            _record_one(pins, f"variable: {name}", argv, _settings(variables))
        _record_busy(pins)
        _record_full_disk(pins)


def _prepare() -> None:
    for name in ("nothing-here", "no-keys", "in-the-way/few.predictions.csv", "store/digits"):
        Path(name).mkdir(parents=True)
    Path("a-file").write_text("a file where a folder should be", encoding="utf-8")
    Path("figures.json").write_text("{}", encoding="utf-8")
    Path("sweep.toml").write_text("[space]\nunits = [4, 8]\n", encoding="utf-8")
    Path("foreign-output.csv").write_text("somebody's own\n", encoding="utf-8")
    Path("damaged.csv").write_text("somebody's own\n", encoding="utf-8")
    Path("damaged.receipt.json").write_text("{", encoding="utf-8")
    Path("link.csv").symlink_to("few.csv")
    Path("link.bundle").symlink_to("old.bundle")
    Path("store/digits/digits-1.bundle").write_bytes(Path("old.bundle").read_bytes())
    Path("store/digits/.highest").write_text("1\n", encoding="utf-8")


def _record_one(
    pins: Pins,
    name: str,
    argv: tuple[str, ...],
    inside: AbstractContextManager[Any] | None = None,
) -> None:
    before = snapshot()
    with inside or nullcontext():
        ran = run_here(*argv)
    _keep(pins, name, argv, ran, changes(before, snapshot()))


def _keep(pins: Pins, name: str, argv: tuple[str, ...], ran: Ran, written: list[str]) -> None:
    pins.keep(
        name,
        {
            "argv": " ".join(argv),
            "code": ran.code,
            "stdout": ran.stdout_kind,
            "stderr_lines": ran.stderr_told(argv[0] if argv else ""),
            "written": written,
        },
    )


@contextlib.contextmanager
def _settings(variables: dict[str, str]) -> Iterator[None]:
    os.environ.update(variables)
    try:
        yield
    finally:
        forget_settings()


def _record_busy(pins: Pins) -> None:
    """Another run holds the output: its lock is held here."""
    with Path(".busy.receipt.json.lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, flags in (("run", ()), ("check", ("--check",))):
            argv = ("predict", "few.csv", "--output", "busy.csv", *flags)
            _record_one(pins, f"busy: {name}", argv)


def _record_full_disk(pins: Pins) -> None:
    """Standard output can't be written; what was published stays."""
    argv = ("predict", "few.csv", "--output", "o5/")
    before = snapshot()
    with Path("/dev/full").open("wb") as full:
        ran = run_process(*argv, stdout=full)
    _keep(pins, "full: standard output", argv, ran, changes(before, snapshot()))
