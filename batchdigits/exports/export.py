"""Members of a bundle as files of their own, byte for byte, and the bundle as an MLflow model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.keras.model_file import check_keras_archive, check_keras_weights
from batchdigits.errors import BundleError, OutputError, UsageError
from batchdigits.exports.mlflow_folder import check_folder, check_mlflow, write_mlflow_model
from batchdigits.files.atomic import create_file, replace_file
from batchdigits.files.digest import digest_bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """One thing that was written.

    kind    "onnx", "keras" or "mlflow"
    path    where it is
    digest  "sha256:…" of the file; None for a folder
    takes   what it is to be given, in words
    gives   what comes out, in words
    """

    kind: str
    path: Path
    digest: str | None
    takes: str
    gives: str


@dataclass(frozen=True, slots=True)
class ExportPaths:
    """Where to put what; None for what is not wanted."""

    onnx: Path | None
    keras: Path | None
    mlflow: Path | None

    @staticmethod
    def parse(onnx: str | None, keras: str | None, mlflow: str | None) -> ExportPaths:
        """The paths as typed.

        Raises UsageError for none, an empty one, or one given twice, OutputError for one in a
        folder that is not there.
        """
        given = {"--onnx": onnx, "--keras": keras, "--mlflow": mlflow}
        paths = [_parse_path(flag, text) for flag, text in given.items()]
        wanted = [path.absolute() for path in paths if path is not None]
        if not wanted:
            raise UsageError("nothing to export: give --onnx FILE, --keras FILE or --mlflow DIR")
        if len(set(wanted)) < len(wanted):
            raise UsageError("--onnx, --keras and --mlflow name one path twice: name one for each")
        if keras is not None and not keras.endswith(".keras"):
            raise UsageError(f"--keras {keras}: Keras loads only files that end in .keras")
        return ExportPaths(*paths)


def export_bundle(bundle: BundleFile, paths: ExportPaths, *, overwrite: bool) -> list[Exported]:
    """Writes what `paths` names, each whole or not at all; returns what was written.

    The caller has replayed the golden rows. Every path is checked before the first is written.
    Raises OutputError for a path that is taken (without `overwrite`, or by something else) or
    can't be written, BundleError for a Keras model that is not allowed, MissingExtraError without
    MLflow.
    """
    writers: list[Callable[[], Exported]] = []
    if paths.onnx is not None:
        ports = _onnx_ports(bundle.members["model.onnx"])
        writers.append(_prepare(bundle, "onnx", paths.onnx, ports, overwrite=overwrite))
    if paths.keras is not None:
        ports = _keras_ports(bundle)
        writers.append(_prepare(bundle, "keras", paths.keras, ports, overwrite=overwrite))
    if paths.mlflow is not None:
        writers.append(_prepare_mlflow(bundle, paths.mlflow, overwrite=overwrite))
    return [write() for write in writers]


def _parse_path(flag: str, text: str | None) -> Path | None:
    if text is None:
        return None
    if text == "":  # an unset variable in a script
        raise UsageError(f"{flag} is empty: name a path, or leave the flag out")
    path = Path(text)
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or name another")
    return path


def _prepare(
    bundle: BundleFile, kind: str, path: Path, ports: tuple[str, str], *, overwrite: bool
) -> Callable[[], Exported]:
    """Checks that `path` may be written; gives what writes the member of that kind there."""
    data = bundle.members[f"model.{kind}"]
    if path.exists() and path.samefile(bundle.path):
        raise UsageError(f"{path}: is the bundle itself; name another file")
    if os.path.lexists(path) and not overwrite:
        raise _taken(path)

    def write() -> Exported:
        try:
            (replace_file if overwrite else create_file)(path, data)
        except FileExistsError as error:
            raise _taken(path) from error
        return Exported(kind, path, digest_bytes(data), *ports)

    return write


def _taken(path: Path) -> OutputError:
    return OutputError(f"{path}: exists; give --overwrite, or name another file")


def _prepare_mlflow(bundle: BundleFile, path: Path, *, overwrite: bool) -> Callable[[], Exported]:
    check_mlflow()
    check_folder(path, overwrite=overwrite)

    def write() -> Exported:
        write_mlflow_model(bundle, path, overwrite=overwrite)
        takes = "columns pixel_0 … pixel_63, 0..16, not scaled"
        return Exported("mlflow", path, None, takes, "columns prediction and confidence")

    return write


def _onnx_ports(model: bytes) -> tuple[str, str]:
    """What the graph takes and gives: names, types and shapes of its ports."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    takes, gives = _describe(session.get_inputs()), _describe(session.get_outputs())
    return f"{takes}, 0..16, not scaled", gives


def _describe(ports: Sequence[Any]) -> str:
    return ", ".join(f"{port.name} {port.type} [{_shape(port.shape)}]" for port in ports)


def _shape(sizes: Sequence[int | str | None]) -> str:
    return ", ".join("N" if size is None else str(size) for size in sizes)


def _keras_ports(bundle: BundleFile) -> tuple[str, str]:
    """What the Keras model takes and gives. Raises BundleError if it holds what it may not.

    Its weights are looked at where h5py, which comes with the train extra, is installed.
    """
    try:
        check_keras_archive(bundle.members["model.keras"])
        if importlib.util.find_spec("h5py") is not None:
            check_keras_weights(bundle.members["model.keras"])
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {error}") from error
    takes = "float32 [N, 64], scaled: (pixels - mean_) / scale_ of the bundle's scaler.joblib"
    return takes, f"float32 [N, {len(bundle.manifest.classes)}] probabilities"
