"""Members of a bundle as files of their own, byte for byte, and the bundle as an MLflow model."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.keras.model_file import check_keras_archive, check_keras_weights
from batchdigits.engines.onnx.session import Session
from batchdigits.errors import UsageError, naming
from batchdigits.exports.mlflow_folder import check_folder, check_mlflow, write_mlflow_model
from batchdigits.files.atomic import check_parent, refuse_existing, write_output
from batchdigits.files.digest import digest_bytes

_MLFLOW_PORTS = (
    "columns pixel_0 … pixel_63, 0..16, not scaled",
    "columns prediction and confidence",
)


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


@dataclass(frozen=True, slots=True)
class ExportPaths:
    """The paths to write to; None for what is not wanted."""

    onnx: Path | None
    keras: Path | None
    mlflow: Path | None

    @classmethod
    def parse(cls, onnx: str | None, keras: str | None, mlflow: str | None) -> ExportPaths:
        """Parse the paths as typed; whether they exist is checked later.

        Raises UsageError for no path, an empty one, or one given twice, OutputError if its folder
        is missing.
        """
        given = {"--onnx": onnx, "--keras": keras, "--mlflow": mlflow}
        paths = [None if text is None else check_parent(text, flag) for flag, text in given.items()]
        wanted = [path.absolute() for path in paths if path is not None]
        if not wanted:
            raise UsageError("nothing to export: give --onnx FILE, --keras FILE or --mlflow DIR")
        if len(set(wanted)) < len(wanted):
            raise UsageError("--onnx, --keras and --mlflow name one path twice: name one for each")
        if keras is not None and not keras.endswith(".keras"):
            raise UsageError(f"--keras {keras}: Keras loads only files that end in .keras")
        return cls(*paths)


def export_bundle(bundle: BundleFile, paths: ExportPaths, *, overwrite: bool) -> list[Exported]:
    """Write what `paths` names, each whole or not at all; return what was written.

    The caller has replayed the golden rows. Every path is checked before the first is written.
    Raises OutputError for a path that exists (without `overwrite`, or as something else) or can't
    be written, BundleError for a Keras model that is not allowed, MissingExtraError without MLflow.
    """
    wanted: list[tuple[str, Path, tuple[str, str]]] = []
    if paths.onnx is not None:
        wanted.append(("onnx", paths.onnx, _onnx_ports(bundle)))
    if paths.keras is not None:
        wanted.append(("keras", paths.keras, _keras_ports(bundle)))
    for _, path, _ in wanted:
        if path.exists() and path.samefile(bundle.path):
            raise UsageError(f"{path}: is the bundle itself; name another file")
        if not overwrite:
            refuse_existing(path)
    if paths.mlflow is not None:
        check_mlflow()
        check_folder(paths.mlflow, overwrite=overwrite)
    written = []
    for kind, path, ports in wanted:
        data = bundle.members[f"model.{kind}"]
        write_output(path, data, overwrite=overwrite)
        written.append(Exported(kind, path, digest_bytes(data), *ports))
    if paths.mlflow is not None:
        write_mlflow_model(bundle, paths.mlflow, overwrite=overwrite)
        written.append(Exported("mlflow", paths.mlflow, None, *_MLFLOW_PORTS))
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
