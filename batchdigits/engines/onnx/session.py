"""A model in ONNX Runtime: opened, called with one thread, and what goes wrong as one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from batchdigits.errors import BundleError

_FATAL = 4


class Session:
    """The model in these bytes. Raises BundleError if it can't be loaded."""

    def __init__(self, model: bytes) -> None:
        self._errors = _runtime_errors()
        self._session = _open(model, self._errors)

    @property
    def inputs(self) -> Sequence[Any]:
        """Name, type and shape of each input."""
        ports: Sequence[Any] = self._session.get_inputs()
        return ports

    @property
    def optional_inputs(self) -> Sequence[Any]:
        """The same of the inputs that have a value unless they are given one."""
        ports: Sequence[Any] = self._session.get_overridable_initializers()
        return ports

    @property
    def outputs(self) -> Sequence[Any]:
        """The same of the outputs."""
        ports: Sequence[Any] = self._session.get_outputs()
        return ports

    def run(self, names: Sequence[str], given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs of these names. Raises BundleError if the model fails."""
        try:
            outputs: list[NDArray[Any]] = self._session.run(names, given)
        except self._errors as error:
            raise BundleError(
                f"model.onnx failed ({_one_line(error)}): rebuild the bundle with train"
            ) from error
        return outputs


def _open(model: bytes, errors: tuple[type[Exception], ...]) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(_FATAL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _FATAL
    # Otherwise bytes that look like ONNX Runtime's own format would be read as that.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except errors as error:
        raise BundleError(
            f"model.onnx can't be loaded ({_one_line(error)}): rebuild the bundle with train"
        ) from error


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: a dozen classes that share no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state

    kinds = vars(onnxruntime_pybind11_state).values()
    own = (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))
    return (RuntimeError, ValueError, *own)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
