"""The output `strangeness` of an ONNX graph, which costs nothing until it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import InternalError
from batchdigits.packing.onnx.tidy import INPUT

STRANGENESS = "strangeness"
WANTED = "with_strangeness"
LARGEST_DIFFERENCE = 1e-5
"""The largest error of a squared distance, as a share of the squares whose small difference it is.
Beside a centroid, float32 is exact to hundredths of a distance, at a threshold to thousandths.
"""


def add_strangeness(model: Any, centres: NDArray[np.float32]) -> None:
    """Add to an ONNX ModelProto the distance of each row to the nearest of centres (c, 64).

    |x - c| is computed as sqrt(|x|^2 + min(|c|^2 - 2 x c)). ONNX Runtime computes every output of a
    graph, wanted or not. So the distance is in a branch that is taken if the input
    `with_strangeness` is true. The input is optional; without it all distances are NaN.
    """
    import onnx

    make_port, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    near = centres.astype(np.float64)
    constants = {
        "centres": (-2 * near.T).astype(np.float32),
        "centre_squares": (near**2).sum(axis=1).astype(np.float32),
        WANTED: np.array(False),
    }
    graph = model.graph
    graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array(value, order="C"), name)
        for name, value in constants.items()
    )
    graph.input.append(make_port(WANTED, kinds.BOOL, []))
    graph.node.append(
        onnx.helper.make_node(
            "If",
            [WANTED],
            [STRANGENESS],
            name=STRANGENESS,
            then_branch=_branch("distance", _distance_nodes()),
            else_branch=_branch("nothing", _nothing_nodes()),
        )
    )
    graph.output.append(make_port(STRANGENESS, kinds.FLOAT, ["N"]))


def distance(pixels: NDArray[Any], centres: NDArray[np.float32]) -> NDArray[np.float64]:
    """The Euclidean distance of each row of pixels (n, 64) to the nearest of centres (c, 64)."""
    rows, near = pixels.astype(np.float64), centres.astype(np.float64)
    squares = (rows**2).sum(axis=1)[:, None] - 2 * rows @ near.T + (near**2).sum(axis=1)
    nearest: NDArray[np.float64] = np.sqrt(np.maximum(squares, 0).min(axis=1))
    return nearest


def check_strangeness(
    onnx: bytes, classes: int, centres: NDArray[np.float32], pixels: NDArray[Any]
) -> None:
    """Raise InternalError unless the graph gives the distances of pixels (n, 64) to `centres`."""
    measured = OnnxEngine(onnx, classes).measure(pixels.astype(np.float32))[2].astype(np.float64)
    rows, near = pixels.astype(np.float64), centres.astype(np.float64)
    squares = (rows**2).sum(axis=1) + (near**2).sum(axis=1).max()
    worst = float((np.abs(measured**2 - distance(pixels, centres) ** 2) / squares).max())
    if not worst <= LARGEST_DIFFERENCE:
        raise InternalError(
            f"the ONNX graph's squared strangeness is off by {worst:.3g} of the squares (allowed "
            f"{LARGEST_DIFFERENCE:g}); nothing was packed; report this with the command"
        )


def _branch(name: str, nodes: list[Any]) -> Any:
    import onnx

    output = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N"])
    return onnx.helper.make_graph(nodes, name, [], [output])


def _distance_nodes() -> list[Any]:
    import onnx

    # Axes are attributes up to operator set 17; the exporter writes 15.
    make = onnx.helper.make_node
    return [
        make("Gemm", [INPUT, "centres", "centre_squares"], ["all"]),
        make("ReduceMin", ["all"], ["nearest"], axes=[1], keepdims=0),
        make("ReduceSumSquare", [INPUT], ["square"], axes=[1], keepdims=0),
        make("Add", ["nearest", "square"], ["sum"]),
        make("Relu", ["sum"], ["positive"]),
        make("Sqrt", ["positive"], ["distance"]),
    ]


def _nothing_nodes() -> list[Any]:
    import onnx

    nan = onnx.helper.make_tensor("nan", onnx.TensorProto.FLOAT, [1], [float("nan")])
    return [
        onnx.helper.make_node("Shape", [INPUT], ["rows"], start=0, end=1),
        onnx.helper.make_node("ConstantOfShape", ["rows"], ["nothing"], value=nan),
    ]
