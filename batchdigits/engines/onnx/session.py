"""A model in ONNX Runtime: called with one thread, its errors turned into one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from batchdigits.errors import unsound_bundle

_FATAL = 4


class Session:
    """A model, given as bytes. Raises BundleError if it can't be loaded.

    inputs           name, type and shape of each input that must be given, as one text
    optional_inputs  the same text for the inputs that have a default
    outputs          the same text for the outputs
    """

    def __init__(self, model: bytes) -> None:
        self._errors = _runtime_errors()
        self._session = _open(model, self._errors)
        self.inputs = _ports(self._session.get_inputs())
        self.optional_inputs = _ports(self._session.get_overridable_initializers())
        self.outputs = _ports(self._session.get_outputs())

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


def _open(model: bytes, errors: tuple[type[Exception], ...]) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    # Without this, bytes that look like ONNX Runtime's own format would be read as that.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except errors as error:
        raise unsound_bundle(f"model.onnx can't be loaded ({_one_line(error)})") from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Return the errors of ONNX Runtime: a dozen classes that share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state

    kinds = vars(onnxruntime_pybind11_state).values()
    own = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))
    return (RuntimeError, ValueError, *own)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
