"""A model in ONNX Runtime: checked, called with one thread, its errors turned into one line.

The only module that imports ONNX Runtime, and so the only way to open a model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from batchdigits.engines.onnx.safety import check_onnx_graph
from batchdigits.errors import unsound_bundle

_FATAL = 4


class Session:
    """A model, given as bytes. Raises BundleError if it is unsafe or can't be loaded.

    inputs           name, type and shape of each input that must be given, as one text
    optional_inputs  the same text for the inputs that have a default
    outputs          the same text for the outputs
    """

    def __init__(self, model: bytes) -> None:
        check_onnx_graph(model)
        runtime = import_runtime()
        self._errors = _errors_of(runtime)
        self._session = _open(runtime, model, self._errors)
        try:
            self.inputs = _ports(self._session.get_inputs())
            self.optional_inputs = _ports(self._session.get_overridable_initializers())
            self.outputs = _ports(self._session.get_outputs())
        except UnicodeDecodeError as error:
            raise unsound_bundle(f"model.onnx has a name that is not UTF-8 ({error})") from error

    def run(self, names: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the outputs of these names. Raises BundleError if the model fails."""
        try:
            outputs: list[NDArray[Any]] = self._session.run(names, given)
        except self._errors as error:
            raise unsound_bundle(f"model.onnx failed ({_one_line(error)})") from error
        return outputs


def _ports(ports: Sequence[Any]) -> str:
    """Name, type and shape of each port; N stands for a first dimension that is left open."""
    return ", ".join(f"{port.name} {port.type} [{_shape(port.shape)}]" for port in ports)


def _shape(sizes: Sequence[int | str | None]) -> str:
    free = ["N" if not isinstance(size, int) and at == 0 else size for at, size in enumerate(sizes)]
    return ", ".join(map(str, free))


def import_runtime() -> Any:
    """Import ONNX Runtime without its telemetry, and return it.

    From 1.32 on, its import alone writes a device id and a database to the home folder and starts
    a thread that reports to its vendor, unless this variable is set first.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    return onnxruntime


def _open(onnxruntime: Any, model: bytes, errors: tuple[type[Exception], ...]) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    # Without this, bytes that look like ONNX Runtime's own format would be read as that.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            enable_fallback=0,  # it would try again, and print the error to standard output
        )
    except errors as error:
        raise unsound_bundle(f"model.onnx can't be loaded ({_one_line(error)})") from error


def _errors_of(onnxruntime: Any) -> tuple[type[Exception], ...]:
    """Return the errors of ONNX Runtime: a dozen classes that share no base but Exception."""
    kinds = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
    own = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))
    return (RuntimeError, ValueError, *own)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
