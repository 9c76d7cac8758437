from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pytest
from paths import ROOT
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from batchdigits.archive.classes import Classes
from batchdigits.engines.golden import build_golden, count_differences
from batchdigits.engines.keras import engine as engine_module
from batchdigits.engines.keras.engine import KerasEngine, import_keras
from batchdigits.engines.keras.model_file import (
    check_keras_archive,
    check_keras_sizes,
    check_keras_weights,
)
from batchdigits.errors import BundleError, MissingExtraError

CLASSES = Classes("string", ("eins", "null", "zwei"))
CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "layers": [
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {
                    "units": 3,
                    "kernel_initializer": {
                        "module": "keras.initializers",
                        "class_name": "GlorotUniform",
                        "registered_name": None,
                    },
                },
                "registered_name": None,
            }
        ]
    },
    "registered_name": None,
}


def archive(config: Any = CONFIG, *, compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        file.writestr("model.weights.h5", b"weights" * 99)
        for name, data in more.items():
            file.writestr(name, data)
    return sink.getvalue()


def layer(**changes: Any) -> dict[str, Any]:
    """The allowed config with its one layer changed."""
    config = json.loads(json.dumps(CONFIG))
    config["config"]["layers"][0].update(changes)
    return config


def test_an_allowed_network_passes() -> None:
    """As Keras writes it."""
    check_keras_archive(archive())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (layer(class_name="Lambda"), r"keras\.layers\.Lambda"),
        (layer(class_name="TFSMLayer"), r"keras\.layers\.TFSMLayer"),
        (layer(class_name="TextVectorization"), "TextVectorization"),
        (layer(module="os", class_name="system"), r"os\.system"),
        (layer(module="evil", class_name="Dense"), r"evil\.Dense"),
        (layer(module=None, class_name="Dense"), r"None\.Dense"),
        (layer(module=["keras.layers"]), "Dense"),
        (layer(class_name={"a": 1}), "keras.layers"),
        (layer(registered_name="evil>Dense"), "as evil>Dense"),
        (layer(config={"activation": {"class_name": "function", "config": "f"}}), "function"),
        (layer(config={"activation": {"class_name": "__lambda__"}}), "__lambda__"),
        (layer(config=[{"x": {"module": "builtins", "class_name": "eval"}}]), r"builtins\.eval"),
        (layer(class_name="GlorotUniform"), r"keras\.layers\.GlorotUniform"),
    ],
)
def test_whatever_no_network_of_ours_needs_is_refused(config: Any, told: str) -> None:
    """Layers that run or read what they are told, other modules, functions; at any depth."""
    with pytest.raises(BundleError, match=told):
        check_keras_archive(archive(config))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "can't be read"),
        (b"\x89HDF\r\n\x1a\n", "can't be read"),
        (archive()[:-30], "can't be read"),
        (archive(compression=zipfile.ZIP_DEFLATED), "compressed"),
        (archive(**{"assets/vocabulary.txt": b"x"}), "has members assets/vocabulary.txt"),
        (archive(**{"../x": b"x"}), "has members ../x"),
        (archive("{"), "config.json is not JSON"),
        (archive("[" * 500 + "]" * 500), "deeper than 64"),
        (archive("[" * 100_000), "config.json is not JSON"),
        (archive('{"module": "os", "module": "keras"}'), "config.json has a key twice: module"),
    ],
)
def test_an_archive_that_keras_did_not_write_is_refused(data: bytes, told: str) -> None:
    """Before Keras or h5py see it."""
    with pytest.raises(BundleError, match=told):
        check_keras_archive(data)


def test_a_doubled_member_is_refused() -> None:
    """The one that is checked must be the one that is loaded."""
    with pytest.warns(UserWarning, match="Duplicate"):
        data = archive(**{"config.json": b"{}"})
    with pytest.raises(BundleError, match="has members config.json, config.json"):
        check_keras_archive(data)


@pytest.mark.parametrize(
    ("package", "version"), [("joblib", "1.5.3"), ("keras", "3.15.0"), ("keras", "2.15.0")]
)
def test_a_package_that_can_be_walked_around_is_refused(
    package: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 69, with both versions and the fix."""
    real = engine_module.importlib.metadata.version
    monkeypatch.setattr(
        engine_module.importlib.metadata,
        "version",
        lambda name: version if name == package else real(name),
    )
    with pytest.raises(
        MissingExtraError, match=rf"{package} {version} is too old .*pip install '\.\[train\]'"
    ):
        import_keras()


@pytest.mark.parametrize("package", ["joblib", "keras", "scikit-learn", "tensorflow"])
def test_a_package_that_is_not_installed_is_named(package: str, tmp_path: Path) -> None:
    """Exit 69, in a fresh interpreter that can't import it."""
    script = f"""
import sys
sys.modules["{package}"] = None
import importlib.metadata as metadata
real = metadata.version
def version(name):
    if name == "{package}":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
from batchdigits.engines.keras.engine import import_keras
from batchdigits.errors import MissingExtraError
try:
    import_keras()
except MissingExtraError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.startswith(f"{package} is not installed: install the extra")
    assert "'.[train]'" in done.stdout


def saved(thing: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(thing, sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A real Keras model of three classes, its scaler and its binarizer, as members and objects."""
    keras = import_keras()
    keras.utils.set_random_seed(0)
    pixels = np.random.default_rng(1).integers(0, 17, (3000, 64)).astype(np.uint8)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Reshape((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu", kernel_initializer="uniform"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    scaler = StandardScaler().fit(pixels)
    path = tmp_path_factory.mktemp("reference") / "model.keras"
    model.save(path)
    return {
        "pixels": pixels,
        "model": model,
        "scaler": scaler,
        "members": {
            "model.keras": path.read_bytes(),
            "scaler.joblib": saved(scaler),
            "label_binarizer.joblib": saved(LabelBinarizer().fit(CLASSES.values)),
        },
    }


def changed(reference: dict[str, Any], **members: bytes) -> dict[str, bytes]:
    return {
        **reference["members"],
        **{name.replace("__", "."): data for name, data in members.items()},
    }


def test_probabilities_are_those_of_scaler_and_model(reference: dict[str, Any]) -> None:
    """uint8 or float32, in one call or in blocks."""
    engine = KerasEngine(reference["members"], CLASSES)
    scaled = reference["scaler"].transform(reference["pixels"].astype(float))
    expected = reference["model"].predict(scaled, verbose=0)
    found = engine.probabilities(reference["pixels"])
    assert (found.dtype, found.shape) == (np.float32, (3000, 3))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    again = engine.probabilities(reference["pixels"].astype(np.float32))
    np.testing.assert_array_equal(again, found)
    assert engine.probabilities(np.empty((0, 64), np.uint8)).shape == (0, 3)


def test_another_version_is_told_and_not_refused(
    reference: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The golden rows decide."""
    KerasEngine(reference["members"], CLASSES, {"scikit-learn": "1.0", "numpy": "1.0"})
    assert [record.getMessage()[:42] for record in caplog.records] == [
        "the bundle was made with scikit-learn 1.0,"
    ]


@pytest.mark.parametrize(
    ("members", "classes", "told"),
    [
        ({}, Classes("int64", (0, 1, 2)), "label_binarizer.joblib has classes"),
        ({}, Classes("string", ("eins", "null")), "label_binarizer.joblib has classes"),
        ({"scaler__joblib": saved(StandardScaler())}, CLASSES, "mean_ is None"),
        (
            {"scaler__joblib": saved(StandardScaler().fit([[1.0], [2.0]]))},
            CLASSES,
            r"float64 \(1,\)",
        ),
        ({"label_binarizer__joblib": saved(LabelBinarizer())}, CLASSES, "binarizer"),
        ({"model__keras": archive()}, CLASSES, "model.keras has weights that can't be read"),
        (
            {"model__keras": archive().replace(b"weightsweights", b"weightsWeights", 1)},
            CLASSES,
            "weights that can't be read",
        ),
        ({"model__keras": archive(layer(class_name="Lambda"))}, CLASSES, "Lambda"),
    ],
)
def test_members_that_do_not_fit_are_refused(
    reference: dict[str, Any], members: dict[str, bytes], classes: Classes, told: str
) -> None:
    """Each is named."""
    with pytest.raises(BundleError, match=told):
        KerasEngine(changed(reference, **members), classes)


def test_a_scaler_from_another_bundle_is_caught(
    reference: dict[str, Any], bundle_maker: Any
) -> None:
    """Predict's graph has its own; the keras engine's golden rows find the exchanged one."""
    pixels = reference["pixels"][:20]
    kept = KerasEngine(reference["members"], CLASSES).probabilities(pixels)
    golden = build_golden(pixels, CLASSES.array().take(pa.array(kept.argmax(axis=1))), kept)
    other = saved(StandardScaler().fit(reference["pixels"] // 2))
    for members, differing in ({}, 0), ({"scaler__joblib": other}, 20):
        parts = {**changed(reference, **members), "golden.parquet": golden}
        bundle = bundle_maker(
            CLASSES, **{name.replace(".", "__"): data for name, data in parts.items()}
        )
        assert (
            count_differences(KerasEngine(bundle.members, CLASSES), bundle).differing == differing
        )


def test_weights_are_all_in_their_file(tmp_path: Path) -> None:
    """HDF5 can point at other files, and Keras would look there."""
    h5py = pytest.importorskip("h5py")

    def model(change: Callable[[Any], None]) -> bytes:
        weights, sink = io.BytesIO(), io.BytesIO()
        with h5py.File(weights, "w") as file:
            file["layers/dense/vars/0"] = np.ones(1024, np.float32)
            change(file)
        with zipfile.ZipFile(sink, "w") as target:
            target.writestr("model.weights.h5", weights.getvalue())
        return sink.getvalue()

    def storage(file: Any) -> None:
        (tmp_path / "secret").write_bytes(b"x" * 4096)
        where = [(str(tmp_path / "secret"), 0, 4096)]
        file.create_dataset("layers/dense/vars/1", (1024,), "f4", external=where)

    def set_link(name: str, link: Any) -> Callable[[Any], None]:
        return lambda file: file.__setitem__(name, link)

    check_keras_weights(model(lambda _file: None))
    for change, told in (
        (storage, "layers/dense/vars/1"),
        (set_link("odd", h5py.ExternalLink("other.h5", "/d")), "odd"),
        (set_link("layers/odd", h5py.ExternalLink("other.h5", "/d")), "layers/odd"),
        (set_link("layers/odd", h5py.SoftLink("/layers/dense/vars/0")), "layers/odd"),
    ):
        with pytest.raises(BundleError, match=f"lie in other files: {told}$"):
            check_keras_weights(model(change))


def with_weights(reference: dict[str, Any], change: Callable[[Any], None]) -> bytes:
    """The model with its HDF5 weights changed."""
    import h5py

    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(reference["members"]["model.keras"])) as source:
        weights = io.BytesIO(source.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            change(file)
        with zipfile.ZipFile(sink, "w") as target:
            for name in ("metadata.json", "config.json"):
                target.writestr(name, source.read(name))
            target.writestr("model.weights.h5", weights.getvalue())
    return sink.getvalue()


def test_weights_that_are_larger_than_their_file_are_refused(reference: dict[str, Any]) -> None:
    """A declared gigabyte that nobody wrote, or that is compressed to nothing."""

    def declare(file: Any) -> None:
        file.create_dataset("layers/dense/vars/9", (1 << 28,), "f4")

    def compress(file: Any) -> None:
        zeros = np.zeros(1 << 20, np.float32)
        file.create_dataset("layers/dense/vars/9", data=zeros, compression="gzip")

    for change in (declare, compress):
        with pytest.raises(BundleError, match="larger than what is stored of them: layers/dense"):
            KerasEngine(changed(reference, model__keras=with_weights(reference, change)), CLASSES)


def with_config(reference: dict[str, Any], config: dict[str, Any]) -> bytes:
    """The model with another config, its weights as they are."""
    sink = io.BytesIO()
    given = io.BytesIO(reference["members"]["model.keras"])
    with zipfile.ZipFile(given) as source, zipfile.ZipFile(sink, "w") as target:
        target.writestr("config.json", json.dumps(config))
        for name in ("metadata.json", "model.weights.h5"):
            target.writestr(name, source.read(name))
    return sink.getvalue()


def waiting_variables() -> list[Any]:
    """The variables that Keras has put off making."""
    from keras.src.backend.common import global_state

    return list(global_state.get_global_attribute("uninitialized_variables") or [])


def config_of(*layers: Any) -> dict[str, Any]:
    """The config of a network of which no weight is made: it may be of any size."""
    keras = import_keras()
    from keras.src.backend.common import global_state

    waiting = waiting_variables()
    with keras.StatelessScope(initialize_variables=False):
        model = keras.Sequential([keras.Input((64,)), *layers])
    global_state.set_global_attribute("uninitialized_variables", waiting)
    config: dict[str, Any] = keras.saving.serialize_keras_object(model)
    return config


def with_number(reference: dict[str, Any], layer: str, **changes: Any) -> dict[str, Any]:
    """The config of the reference with one layer changed, so that it contradicts the others."""
    with zipfile.ZipFile(io.BytesIO(reference["members"]["model.keras"])) as source:
        config: dict[str, Any] = json.loads(source.read("config.json"))
    layers = config["config"]["layers"]
    next(entry for entry in layers if entry["class_name"] == layer)["config"].update(changes)
    return config


def test_working_shapes_out_leaves_nothing_for_keras_to_make(reference: dict[str, Any]) -> None:
    """Else Keras would make the terabytes later, of the next bundle that a process opens."""
    config = config_of(import_keras().layers.Dense(10**9))
    before = waiting_variables()
    with pytest.raises(BundleError, match="describes weights"):
        check_keras_sizes(config, 1000)
    assert waiting_variables() == before


def test_shapes_are_worked_out_before_memory_is_taken(reference: dict[str, Any]) -> None:
    """A number in a config can ask for terabytes."""
    layers = import_keras().layers
    image = layers.Reshape((8, 8, 1))
    cases = {
        "describes weights of at least": [
            config_of(layers.Dense(10**9), layers.Dense(3)),
            config_of(image, layers.Conv2D(10**7, 3), layers.Flatten(), layers.Dense(3)),
        ],
        "a layer that gives": [
            config_of(image, layers.ZeroPadding2D(10**5), layers.GlobalMaxPooling2D()),
            config_of(image, layers.ZeroPadding2D(200), layers.GlobalMaxPooling2D()),
        ],
        "model.keras": [
            with_number(reference, "Dense", units=10**9),
            with_number(reference, "InputLayer", batch_shape=[None, 10**9]),
            with_number(reference, "Reshape", target_shape=[8, 8, 10**9]),
            with_number(reference, "MaxPooling2D", pool_size=[10**30, 10**30]),
        ],
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for told, configs in cases.items():
        for config in configs:
            with pytest.raises(BundleError, match=told):
                KerasEngine(
                    changed(reference, model__keras=with_config(reference, config)), CLASSES
                )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_weights_in_another_file_are_refused(reference: dict[str, Any], tmp_path: Path) -> None:
    """HDF5 can point at files as ONNX can, by a data set's storage or by a link."""
    import h5py

    (tmp_path / "weights.bin").write_bytes(b"\0" * 4096)

    def by_storage(file: Any) -> None:
        group = file["layers/dense/vars"]
        shape = group["0"].shape
        del group["0"]
        where = [(str(tmp_path / "weights.bin"), 0, h5py.h5f.UNLIMITED)]
        group.create_dataset("0", shape, "f4", external=where)

    def by_link(file: Any) -> None:
        other = tmp_path / "other.h5"
        with h5py.File(other, "w") as target:
            file.copy("layers/dense/vars", target, "vars")
        del file["layers/dense/vars"]
        file["layers/dense/vars"] = h5py.ExternalLink(str(other), "vars")

    for change in (by_storage, by_link):
        with pytest.raises(BundleError, match=r"model\.keras"):
            KerasEngine(changed(reference, model__keras=with_weights(reference, change)), CLASSES)


def test_keras_and_tensorflow_say_nothing(reference: dict[str, Any], tmp_path: Path) -> None:
    """In a command neither on import nor while they run; and no file of theirs is left behind."""
    for name, data in reference["members"].items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tmp").mkdir()
    script = """
import sys, numpy
from pathlib import Path
from batchdigits.archive.classes import Classes
from batchdigits.cli.quiet import as_command
from batchdigits.engines.keras.engine import KerasEngine
members = {path.name: path.read_bytes() for path in Path(sys.argv[1]).glob("*.*")}
with as_command():
    engine = KerasEngine(members, Classes("string", ("eins", "null", "zwei")))
    engine.probabilities(numpy.zeros((9, 64), "u1"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path / "tmp")},
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list((tmp_path / "tmp").iterdir())
