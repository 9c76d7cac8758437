"""Members of a bundle as files of their own, byte for byte, and the bundle as an MLflow model."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.keras.model_file import check_keras_archive, check_keras_weights
from batchdigits.engines.onnx.session import Session
from batchdigits.errors import UsageError, naming
from batchdigits.exports.mlflow_folder import check_folder, check_mlflow, write_mlflow_model
from batchdigits.files.atomic import check_parent, refuse_existing, write_output
from batchdigits.files.digest import digest_bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """A file or a folder that was written.

    kind    "onnx", "keras" or "mlflow"
    path    where it is
    digest  "sha256:…" of the file; None for a folder
    takes   what the model takes, in words
    gives   what it gives, in words
    """

    kind: str
    path: Path
    digest: str | None
    takes: str
    gives: str


def check_paths(onnx: str | None, keras: str | None, mlflow: str | None) -> dict[str, Path]:
    """Return the paths to write to by kind, as typed; whether they exist is checked later.

    Raises UsageError for no path, an empty one, or one given twice, OutputError if its folder is
    missing.
    """
    given = {"onnx": onnx, "keras": keras, "mlflow": mlflow}
    paths = {
        kind: check_parent(text, f"--{kind}") for kind, text in given.items() if text is not None
    }
    if not paths:
        raise UsageError("nothing to export: give --onnx FILE, --keras FILE or --mlflow DIR")
    if len({path.absolute() for path in paths.values()}) < len(paths):
        raise UsageError("--onnx, --keras and --mlflow name one path twice: name one for each")
    if keras is not None and not keras.endswith(".keras"):
        raise UsageError(f"--keras {keras}: Keras loads only files that end in .keras")
    return paths


def export_bundle(
    bundle: BundleFile, paths: Mapping[str, Path], *, overwrite: bool
) -> list[Exported]:
    """Write what `paths` names by kind, each whole or not at all; return what was written.

    The caller has replayed the golden rows. Every path is checked before the first is written.
    Raises OutputError for a path that exists (without `overwrite`, or as something else) or can't
    be written, BundleError for a Keras model that is not allowed, MissingExtraError without MLflow.
    """
    ports = {kind: _PORTS[kind](bundle) for kind in paths}
    for kind, path in paths.items():
        if kind == "mlflow":
            check_mlflow()
            check_folder(path, overwrite=overwrite)
        elif path.exists() and path.samefile(bundle.path):
            raise UsageError(f"{path}: is the bundle itself; name another file")
        elif not overwrite:
            refuse_existing(path)
    written = []
    for kind, path in paths.items():
        digest = None
        if kind == "mlflow":
            write_mlflow_model(bundle, path, overwrite=overwrite)
        else:
            data = bundle.members[f"model.{kind}"]
            write_output(path, data, overwrite=overwrite)
            digest = digest_bytes(data)
        written.append(Exported(kind, path, digest, *ports[kind]))
    return written


def _onnx_ports(bundle: BundleFile) -> tuple[str, str]:
    session = Session(bundle.members["model.onnx"])
    return f"{session.inputs}, 0..16, not scaled", session.outputs


def _keras_ports(bundle: BundleFile) -> tuple[str, str]:
    """Return what the Keras model takes and gives. Raises BundleError if it is not allowed.

    Its weights are checked where h5py, which comes with the train extra, is installed.
    """
    with naming(bundle.path):
        check_keras_archive(bundle.members["model.keras"])
        if importlib.util.find_spec("h5py") is not None:
            check_keras_weights(bundle.members["model.keras"])
    takes = "float32 [N, 64], scaled: (pixels - mean_) / scale_ of the bundle's scaler.joblib"
    return takes, f"float32 [N, {len(bundle.manifest.classes)}] probabilities"


def _mlflow_ports(_bundle: BundleFile) -> tuple[str, str]:
    return "columns pixel_0 … pixel_63, 0..16, not scaled", "columns prediction and confidence"


_PORTS = {"onnx": _onnx_ports, "keras": _keras_ports, "mlflow": _mlflow_ports}
"""The inputs and outputs of a model of each kind, in words."""
