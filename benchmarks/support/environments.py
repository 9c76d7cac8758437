"""Environments for the tools that we are compared with, outside the repository."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from support.measure import show

REQUIREMENTS = {
    "mlflow": ("mlflow", "onnx", "onnxruntime", "pandas", "pyarrow"),
    "ray": ("ray[data]", "onnxruntime", "pandas", "pyarrow"),
    "spark": ("pyspark", "onnxruntime", "pandas<3", "pyarrow"),
    "polars": ("polars", "onnxruntime", "pyarrow"),
    "duckdb": ("duckdb", "onnxruntime", "pyarrow"),
    "kserve": ("kserve", "onnxruntime", "pyarrow"),
    "triton": ("nvidia-pytriton", "onnxruntime", "pyarrow<20"),
    "readers": ("polars", "duckdb", "pyarrow"),
}


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """Add --peers-folder."""
    parser.add_argument(
        "--peers-folder",
        type=Path,
        default=Path(tempfile.gettempdir(), "batchdigits-peers"),
        help="where their environments are made (default: in the temporary folder)",
    )


def python_of(name: str, folder: Path) -> Path | None:
    """Return the Python of the environment `name`, made on first use; None when that fails."""
    path = folder / name
    python = path / "bin" / "python"
    ready = path / "ready"
    if ready.exists():
        return python
    show(f"making the environment of {name} in {path}")
    venv.create(path, with_pip=True)
    command = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
        show(f"{name} won't install here")
        return None
    ready.touch()
    return python
