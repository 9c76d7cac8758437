"""Keys and signatures: what is made, who is believed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from pin_bundles import make_store
from pin_runs import Pins, own_folder, record_steps, run_here

STORE = ("--store", "store")
TRUST = ("--trusted-keys", "trusted")
STRICT = (*TRUST, "--require-signature")


def record(pins: Pins, inputs: Path) -> None:
    with own_folder("signing", [inputs / "few.csv"]):
        make_store(inputs)
        Path("trusted").mkdir()
        Path("pass").write_text("open sesame\n", encoding="utf-8")
        Path("pass").chmod(0o600)
        _record(pins)


def _record(pins: Pins) -> None:
    record_steps(
        pins,
        "keys",
        [
            ("bundles", "keygen", "ops"),
            ("bundles", "keygen", "ops"),
            ("bundles", "keygen", "night", "--passphrase-file", "pass"),
        ],
    )
    shutil.move("ops.pub", "trusted/ops.pub")
    record_steps(pins, "sign", [("bundles", *argv, *STORE) for argv in _SIGNING])
    signature = json.loads(Path("store/digits/digits-1.bundle.sig").read_text(encoding="utf-8"))
    pins.keep("the signature's file", {name: _kind(one) for name, one in signature.items()})
    record_steps(pins, "verify", [("bundles", *argv, *STORE) for argv in _CHECKING])
    for number, flags in enumerate(_SCORING, 1):
        argv = ("predict", "few.csv", "--output", f"o{number}.csv", *flags, *STORE)
        ran = run_here(*argv)
        facts: dict[str, Any] = {"argv": list(argv), "code": ran.code, "signed_by": None}
        if ran.code == 0:
            receipt = json.loads(Path(f"o{number}.receipt.json").read_text(encoding="utf-8"))
            facts["signed_by"] = receipt["bundle"]["signed_by"] and "<key>"
        pins.keep(f"predict/{number}", facts)


def _kind(value: Any) -> str:
    return str(value) if isinstance(value, int) or value in ("ed25519", "for 2027") else "<text>"


_SIGNING: tuple[tuple[str, ...], ...] = (
    ("sign", "digits@1", "--key", "ops.key", "--comment", "for 2027"),
    ("sign", "digits@1", "--key", "ops.key"),
    ("sign", "digits@1", "--key", "night.key"),
    ("sign", "digits@1", "--key", "night.key", "--passphrase-file", "pass"),
    ("sign", "digits@3", "--key", "night.key", "--passphrase-file", "pass"),
    ("sign", "digits@3", "--key", "trusted/ops.pub"),
)

_CHECKING: tuple[tuple[str, ...], ...] = (
    ("verify", "digits@1", "digits@2", "digits@3", "--json"),
    ("verify", "digits@1", "digits@2", "digits@3", "--json", *TRUST),
    ("verify", "digits@1", "digits@2", "digits@3", "--json", *STRICT),
    ("verify", "digits@1", *STRICT),
    ("promote", "digits@2", "--alias", "production", *STRICT),
    ("promote", "digits@1", "--alias", "production", *STRICT),
    ("export", "digits@2", "--onnx", "a.onnx", *STRICT),
)

_SCORING: tuple[tuple[str, ...], ...] = (
    ("--bundle", "digits@1"),
    ("--bundle", "digits@1", *TRUST),
    ("--bundle", "digits@1", *STRICT),
    ("--bundle", "digits@2", *TRUST),
    ("--bundle", "digits@2", *STRICT),
    ("--bundle", "digits@3", *TRUST),
)
