"""`.keras` and `.h5` files: what Keras 2 and 3 wrote, and what nobody should open."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from artefacts import ARTEFACTS, NAMES
from saved_models import (
    DENSE,
    WEIGHTS,
    archive,
    h5_bytes,
    h5_model,
    layer_config,
    sequential,
    stored,
)

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.keras_files import read_keras
from batchdigits.training.importing.saved import Saved, read_saved

NETWORKS = [
    path
    for name in NAMES
    for path in (ARTEFACTS / name).glob("model.*")
    if path.suffix in (".keras", ".h5")
]


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.parent.name)
def test_what_each_version_of_keras_saved_is_read(path: Path) -> None:
    model = read_keras(read_saved(path))
    expected = {"keras2": "2.15.", "keras30": "3.0.", "today": "3."}
    assert model.version.startswith(expected[path.parent.name.partition("-")[0]])
    assert model.network.facts["weights"] > 64


def test_small_files_made_by_hand_are_read() -> None:
    """So that each hostile one below differs from a good one in one thing."""
    for saved, version in ((archive(), "3.15.1"), (h5_model(), "2.15.0")):
        model = read_keras(saved)
        assert (model.version, model.network.output) == (version, "softmax")
        assert [layer.words for layer in model.network.layers] == ["Dense 3"]
    assert read_keras(archive(compression=zipfile.ZIP_DEFLATED)).network.output == "softmax"


def external(file: Any) -> None:
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft(file: Any) -> None:
    file["elsewhere"] = h5py.SoftLink("/model_weights/dense/kernel:0")


def external_storage(file: Any) -> None:
    file.create_dataset("x", (512,), "f8", external=[("/etc/passwd", 0, 4096)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((64,), "f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (64,))
    file.create_virtual_dataset("x", layout)


def virtual_of_any_size(file: Any) -> None:
    layout = h5py.VirtualLayout((64,), "f8", maxshape=(None,))
    source = h5py.VirtualSource("/etc/passwd", "x", (64,), maxshape=(None,))
    layout[: h5py.h5s.UNLIMITED] = source[: h5py.h5s.UNLIMITED]
    file.create_virtual_dataset("x", layout)


def bomb(file: Any) -> None:
    file.create_dataset("x", (1 << 36,), "f4", chunks=(1 << 20,), compression="gzip")


@pytest.mark.parametrize(
    ("fill", "told"),
    [
        *((fill, "links or lie in other files") for fill in (external, soft, external_storage)),
        *((fill, "links or lie in other files") for fill in (virtual, virtual_of_any_size)),
        (bomb, "larger than what is stored"),
    ],
)
@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_an_hdf5_that_points_elsewhere_or_swells_is_refused(
    kind: str, fill: Callable[[Any], object], told: str
) -> None:
    saved = h5_model(fill=fill) if kind == "h5" else archive(weights=h5_bytes(fill))
    with pytest.raises(BundleError, match=told):
        read_keras(saved)


LAMBDA = sequential(layer_config("Lambda", "f", function=["4wEAAA=="]), DENSE)


@pytest.mark.parametrize(
    ("saved", "error", "told"),
    [
        (archive(LAMBDA), BundleError, "model.keras: layer 'f' is a Lambda, which holds code"),
        (h5_model(LAMBDA), BundleError, "model.h5: layer 'f' is a Lambda, which holds code"),
        (Saved("model.h5", h5_model().data[:-800]), BundleError, "can't be read"),
        (Saved("model.keras", archive().data[:-30]), BundleError, "can't be unpacked"),
        (Saved("model.h5", b"pixel_0"), UnusableInputError, "is no Keras model"),
        (Saved("model.h5", b""), UnusableInputError, "is no Keras model"),
        (Saved("w.h5", stored(WEIGHTS)), UnusableInputError, "only weights or other data"),
        (archive(weights=b"no HDF5"), BundleError, "can't be read"),
        (archive(assets__txt=b"x"), UnusableInputError, "is a ZIP file of assets.txt"),
    ],
)
def test_what_is_hostile_damaged_or_no_model_is_refused(saved: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        read_keras(saved)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    """A ZIP of 70 MB of zeros has 70 KB."""
    data = archive(compression=zipfile.ZIP_DEFLATED, weights=bytes(MAX_FILE_BYTES)).data
    assert len(data) < 1 << 20
    with pytest.raises(BundleError, match="unpacks to more than 64 MiB"):
        read_keras(Saved("model.keras", data))


def test_weights_of_another_layer_are_refused() -> None:
    """Keras 3.7 and later write each layer's name beside its weights."""

    def fill(file: Any) -> None:
        for path, values in WEIGHTS.items():
            file[path] = values
        file["layers/dense/vars"].attrs["name"] = "dense_7"

    with pytest.raises(BundleError, match="layer 'dense' are those of .'dense_7'."):
        read_keras(archive(weights=h5_bytes(fill)))
    text = h5_bytes(lambda file: file.update({"layers/dense/vars/0": b"text"}))
    with pytest.raises(BundleError, match="are no numbers"):
        read_keras(archive(weights=text))


def test_an_attribute_that_is_no_text_is_not_read() -> None:
    """h5py 3.14 ends the process when it reads one whose type is a sequence of anything."""

    def fill(file: Any) -> None:
        values = np.empty(1, object)
        values[0] = np.arange(3, dtype="i4")
        del file.attrs["model_config"]
        file.attrs.create("model_config", values, dtype=h5py.vlen_dtype(np.dtype("i4")))

    with pytest.raises(BundleError, match="its attribute model_config holds no text"):
        read_keras(h5_model(fill=fill))
    fixed = h5_model(fill=lambda file: file.attrs.create("keras_version", np.bytes_("2.15.0")))
    assert read_keras(fixed).version == "2.15.0"
    config = json.dumps(sequential(DENSE))
    text = h5_model(fill=lambda file: file.attrs.create("model_config", np.bytes_(config)))
    assert read_keras(text).network.shape == (64,)
