"""Writing a bundle as a folder that MLflow loads, serves and scores with."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import ClassType
from batchdigits.archive.manifest import FEATURES
from batchdigits.archive.signing import read_signature, signature_path
from batchdigits.errors import OutputError, missing_extra
from batchdigits.exports import mlflow_model
from batchdigits.files.folder import create_folder

EXAMPLE_ROWS = 3
# The copy of the package imports these when it scores; MLflow hands it rows as pandas frames.
_REQUIRED = ("numpy", "onnxruntime", "pandas", "pyarrow")
_MLFLOW_TYPES: dict[ClassType, str] = {
    "int64": "long",
    "double": "double",
    "bool": "boolean",
    "string": "string",
}


def check_mlflow() -> None:
    """Raise MissingExtraError unless MLflow is installed; it is not imported."""
    if importlib.util.find_spec("mlflow") is None:
        raise missing_extra("mlflow is not installed", "mlflow")


def check_folder(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError if something is at `path` that the model may not replace."""
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise OutputError(f"{path}: exists; give --overwrite, or name another folder")
    if path.is_symlink() or not (path / "MLmodel").is_file():
        raise OutputError(f"{path}: exists and is not an MLflow model; name another folder")


def write_mlflow_model(bundle: BundleFile, path: Path, *, overwrite: bool) -> None:
    """Write an MLflow pyfunc model of `bundle`, whose golden rows were replayed, to `path`.

    The folder holds the bundle itself and the package's code, so that it loads where batchdigits
    is not installed. Raises MissingExtraError without MLflow, OutputError or IOFailedError if the
    folder can't be written or exists and `overwrite` is false, BundleError for a signature that is
    not a regular file.
    """
    check_mlflow()
    with tempfile.TemporaryDirectory(prefix="batchdigits-") as folder:
        data = Path(folder, "bundle")
        data.mkdir()
        file = data / f"{bundle.manifest.name}-{bundle.manifest.version}.bundle"
        file.write_bytes(bundle.to_bytes())
        signature = read_signature(signature_path(bundle.path))
        if signature is not None:
            signature_path(file).write_bytes(signature)
        create_folder(path, lambda new: _save(bundle, data, new), overwrite=overwrite)


def _save(bundle: BundleFile, data: Path, path: Path) -> None:
    mlflow = _import_mlflow()
    mlflow.pyfunc.save_model(
        path,
        loader_module=mlflow_model.__name__,
        data_path=str(data),
        code_paths=[str(Path(__file__).parents[1])],
        signature=_signature(mlflow, bundle.manifest.classes.type),
        input_example=_example(bundle),
        pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
        metadata={"batchdigits": bundle.facts},
    )


def _import_mlflow() -> Any:
    """Import `mlflow` without its usage reports, its warnings and its notes."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    warnings.filterwarnings("ignore", module="mlflow")
    import mlflow
    import mlflow.pyfunc

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return mlflow


def _signature(mlflow: Any, class_type: ClassType) -> Any:
    """Return the signature: 64 named columns in; the label, in its own type, and a float32 out.

    The inputs are of type `any`: MLflow refuses whole numbers for `double` and fractions for
    `long`, and pandas reads the pixels of a CSV as whole numbers. The bundle checks each value.
    """
    column, schema = mlflow.types.ColSpec, mlflow.types.Schema
    pixel = mlflow.types.schema.AnyType()
    label, confidence = mlflow_model.COLUMNS
    outputs = [column(_MLFLOW_TYPES[class_type], label), column("float", confidence)]
    inputs = [column(pixel, name) for name in FEATURES["names"]]
    return mlflow.models.ModelSignature(inputs=schema(inputs), outputs=schema(outputs))


def _example(bundle: BundleFile) -> Any:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    golden = pq.read_table(pa.BufferReader(bundle.members["golden.parquet"]), columns=["pixels"])
    rows = golden["pixels"].slice(0, EXAMPLE_ROWS).to_pylist()
    return pd.DataFrame(rows, columns=FEATURES["names"])
