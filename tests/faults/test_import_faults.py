"""Hostile and damaged files to import: nothing runs, nothing else is opened, nothing hangs."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import joblib
import numpy as np
import pytest
from artefacts import ARTEFACTS
from paths import ROOT
from saved_models import DENSE, archive, h5_bytes, h5_model, layer_config, sequential
from sklearn.preprocessing import StandardScaler

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.keras_files import read_keras
from batchdigits.training.importing.saved import Saved

GOOD = ARTEFACTS / "keras2-functional-h5"
LAMBDA = sequential(layer_config("Lambda", "f", function=["4wEAAA=="]), DENSE)

DRIVER = """
import json, os, sys
from batchdigits.errors import BatchdigitsError
from batchdigits.training.importing.job import parts_of
from batchdigits.training.importing.options import ImportOptions
{before}
for name, options in json.load(open(sys.argv[1])).items():
    os.path.exists(f"/MARK/{{name}}")
    try:
        parts_of(ImportOptions(data="rows.csv", **options))
        print(name, 0)
    except BatchdigitsError as error:
        print(name, error.exit_code)
os.path.exists("/MARK/end")
"""
UNGUARDED = """
import joblib
from batchdigits.training.importing import parts
guarded = parts.read_record
def read(saved):
    return joblib.load(saved.name) if saved.name.endswith(".evil") else guarded(saved)
parts.read_record = read
"""


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a process did between two marks."""

    code: int
    started: list[str]
    opened: set[str]


def pickled(thing: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(thing, sink)
    return sink.getvalue()


def link(file: Any, folder: Path) -> None:
    file["x"] = h5py.ExternalLink(str(folder / "secret"), "/x")


def storage(file: Any, folder: Path) -> None:
    file.create_dataset("x", (8,), "f8", external=[(str(folder / "secret"), 0, 64)])


def virtual(file: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((64,), "f8", maxshape=(None,))
    source = h5py.VirtualSource(str(folder / "secret"), "x", (64,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("x", layout)


def swelling(file: Any, _: Path) -> None:
    file.create_dataset("x", (1 << 36,), "f4", chunks=(1 << 20,), compression="gzip")


def endless_heap() -> bytes:
    """A free space without a length: HDF5 would read it for ever."""
    data = bytearray(h5_model().data)
    place = data.index(b"GCOL") + 16
    while data[place : place + 2] != b"\0\0":
        place += 16 + (int.from_bytes(data[place + 8 : place + 16], "little") + 7) // 8 * 8
    data[place + 8 : place + 16] = bytes(8)
    return bytes(data)


def hostile(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Each case: the option whose file is hostile, and its bytes."""
    evil, scaler = Evil(folder / "ran"), StandardScaler().fit(np.eye(64))
    scaler.mean_ = np.array([evil] * 64, object)
    fills = {"link": link, "storage": storage, "virtual": virtual, "swelling": swelling}
    hdf5 = {
        name: h5_bytes(lambda file, fill=fill: fill(file, folder)) for name, fill in fills.items()
    }
    return {
        "pickle": ("scaler", pickled(evil)),
        "pickle in an array": ("scaler", pickled(scaler)),
        "pickle of labels": ("label_binarizer", pickle.dumps(evil, protocol=0)),
        "pickle of a model": ("sklearn", gzip.compress(pickled(evil))),
        "Lambda in keras": ("keras", archive(LAMBDA).data),
        "Lambda in h5": ("keras", h5_model(LAMBDA).data),
        **{f"{name} in h5": ("keras", data) for name, data in hdf5.items()},
        **{
            f"{name} in keras": ("keras", archive(weights=data).data) for name, data in hdf5.items()
        },
        "zip bomb": ("keras", archive(weights=bytes(MAX_FILE_BYTES), compression=8).data),
        "gzip bomb": ("scaler", gzip.compress(bytes(2 * MAX_FILE_BYTES), 1)),
        "endless heap": ("keras", endless_heap()),
        "cut off": ("keras", h5_model().data[:-900]),
    }


def watch(folder: Path, cases: dict[str, tuple[str, bytes]], before: str = "") -> dict[str, Seen]:
    """Read a sound model, then each case, in one process under strace."""
    sound = {"keras": f"{GOOD}/model.h5", "scaler": f"{GOOD}/scaler.joblib"}
    sound["label_binarizer"] = f"{GOOD}/labels.joblib"
    keras = sound | {"keras": f"{ARTEFACTS}/today-tutorial-keras/model.keras"}
    classifier = {"sklearn": f"{ARTEFACTS}/today-sklearn-mlp/model.joblib"}
    options = {"first": keras, "second": classifier, "sound": sound}
    for number, (name, (part, data)) in enumerate(cases.items()):
        (folder / f"{number}.evil").write_bytes(data)
        others = {} if part == "sklearn" else sound
        options[name] = others | {part: str(folder / f"{number}.evil")}
    (folder / "cases.json").write_text(json.dumps(options))
    (folder / "driver.py").write_text(DRIVER.format(before=before))
    calls = "execve,execveat,fork,vfork,clone,clone3,open,openat,openat2,socket,connect"
    ran = subprocess.run(
        [
            *("strace", "-f", "-qq", "-o", "calls", "-e", f"trace={calls},newfstatat,stat,access"),
            *(sys.executable, "driver.py", "cases.json"),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    codes = dict(line.rsplit(" ", 1) for line in ran.stdout.splitlines())
    text = (folder / "calls").read_text()
    parts = re.split(r'"/MARK/([^"]+)"', text)
    return {
        name: _seen(part, codes[name])
        for name, part in zip(parts[1:-2:2], parts[2::2], strict=False)
    }


def _seen(calls: str, code: str) -> Seen:
    started = re.findall(r"^\d+ +((?:execve|fork|vfork|socket|connect).*)$", calls, re.MULTILINE)
    started += [c for c in re.findall(r"clone3?\(.*", calls) if "CLONE_THREAD" not in c]
    return Seen(int(code), started, set(re.findall(r'open(?:at2?)?\([^"]*"([^"]+)"', calls)))


@pytest.mark.strace
@pytest.mark.filterwarnings("ignore")
def test_a_hostile_file_starts_no_process_and_opens_no_other_file(tmp_path: Path) -> None:
    """Compared with a sound model that was read before: nothing is new except its own file."""
    cases = hostile(tmp_path)
    seen = watch(tmp_path, cases)
    assert (seen["sound"].code, seen["sound"].started) == (0, [])
    assert f"{GOOD}/model.h5" in seen["sound"].opened
    assert len(cases) >= 16
    for name in cases:
        assert (seen[name].code, seen[name].started) == (78, []), name
        new = {path for path in seen[name].opened if not path.endswith(".evil")}
        assert new <= seen["sound"].opened, name
    assert not (tmp_path / "ran").exists()


@pytest.mark.strace
def test_the_watcher_sees_a_pickle_that_is_loaded(tmp_path: Path) -> None:
    """So that the test above can fail."""
    with pytest.raises(AssertionError):  # the driver ends with an error of ours that it has not
        watch(tmp_path, {"evil": ("scaler", pickled(Evil(tmp_path / "ran")))}, UNGUARDED)
    assert (tmp_path / "ran").exists()
    assert re.search(r"execve\(\"/bin/sh\"", (tmp_path / "calls").read_text())


@pytest.mark.parametrize("make", [archive, h5_model], ids=["keras", "h5"])
def test_damage_is_always_one_line(make: Callable[[], Any], tmp_path: Path) -> None:
    """Every cut, and flipped bits: never another exception, never a hang."""
    good = make()
    random = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(good.data)
        for place in random.integers(0, len(data), 3):
            data[place] ^= 1 << int(random.integers(8))
        for damaged in (bytes(data), good.data[: int(random.integers(len(data)))]):
            with contextlib.suppress(BundleError, UnusableInputError):
                read_keras(Saved(good.name, damaged))


def test_a_zip_of_zeros_is_small() -> None:
    """The bomb above is one: 64 MB in less than a hundredth."""
    data = archive(weights=bytes(MAX_FILE_BYTES), compression=zipfile.ZIP_DEFLATED).data
    assert len(data) < MAX_FILE_BYTES // 100
