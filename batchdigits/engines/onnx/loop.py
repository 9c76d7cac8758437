"""A graph around that of `model.onnx` that scores many blocks of rows in one call.

A block has to fit the cache. A call for each block would need the interpreter's lock twice, and
the workers would wait for each other there. So a `Loop` inside the graph counts the blocks. The
graph is made when it is first needed: bundles hold the plain model, and both give the same bits.
Field numbers are from onnx.proto, operators from https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from batchdigits.engines.onnx.protobuf import as_bytes, field, fields
from batchdigits.images import PIXELS

FLOAT, UINT8, INT64, BOOL = 1, 2, 7, 9
_INT_ATTRIBUTE, _GRAPH_ATTRIBUTE, _INTS_ATTRIBUTE = 2, 5, 7

_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE_INITIALIZER = 1, 5, 11, 12, 15
_GRAPH_OF_MODEL = 7
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_GRAPHS_OF_ATTRIBUTE = (6, 11)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of pixels: an element's type, and whether they are 64 columns or rows of 64."""

    kind: int
    columns: bool


@dataclass(frozen=True, slots=True)
class Names:
    """Names for what the loop adds, after a prefix that does not occur in the model."""

    prefix: str

    @classmethod
    def unused(cls, model: bytes) -> Names:
        """Choose names that are nowhere in the bytes of `model`."""
        if b"loop" not in model:
            return cls("loop")
        # No model can hold its own digest, so two looks at its bytes are enough.
        return cls(f"loop_{hashlib.sha256(model).hexdigest()}")

    def of(self, name: str) -> str:
        """Return the name of an input, of a value inside the loop, or of a constant."""
        return f"{self.prefix}/{name}"

    def output(self, name: str) -> str:
        """Return the name of the output that collects the model's output `name` over the blocks."""
        return self.of(f"all_{name}")


def loop_over_blocks(
    model: bytes,
    names: Names,
    outputs: Mapping[str, tuple[int, ...]],
    layout: Layout,
    *,
    rows: int,
    switches: Sequence[str],
) -> bytes:
    """Build a model that calls `model` for each block of `rows` rows.

    outputs   the outputs of `model` to compute: the type of their elements, followed by their
              dimensions without the first, which is the row
    switches  the boolean inputs of `model` to set to true

    Its inputs are `names.of("pixels")`, of that layout, and `names.of("blocks")`, the number of
    blocks to score (int64, no dimension). Its outputs have one dimension more than those of
    `model`, the block, in front.
    """
    number, going, go_on = map(names.of, ("number", "going", "go_on"))
    body = [
        *_cut_block(layout, rows, names),
        *_parts_of(model, set(outputs), set(switches)),
        *(field(_INITIALIZER, _tensor(name, BOOL, (), b"\x01")) for name in switches),
        _node("Identity", [going], [go_on]),
        field(_INPUT, _port(number, INT64, ())),
        field(_INPUT, _port(going, BOOL, ())),
        field(_OUTPUT, _port(go_on, BOOL, ())),
        *(
            field(_OUTPUT, _port(name, kind, (rows, *shape)))
            for name, (kind, *shape) in outputs.items()
        ),
        field(2, "block"),
    ]
    all_shape = (PIXELS, "N") if layout.columns else ("N", PIXELS)
    loop = _attribute("body", _GRAPH_ATTRIBUTE, field(6, b"".join(body)))
    graph = [
        _node("Loop", [names.of("blocks"), ""], [names.output(name) for name in outputs], loop),
        field(2, "blocks"),
        field(_INPUT, _port(names.of("pixels"), layout.kind, all_shape)),
        field(_INPUT, _port(names.of("blocks"), INT64, ())),
        *(
            field(_OUTPUT, _port(names.output(name), kind, ("blocks", rows, *shape)))
            for name, (kind, *shape) in outputs.items()
        ),
    ]
    around = (
        field(number, value)
        for number, value in fields(memoryview(model))
        if number != _GRAPH_OF_MODEL
    )
    return b"".join((*around, field(_GRAPH_OF_MODEL, b"".join(graph))))


def _cut_block(layout: Layout, rows: int, names: Names) -> Iterator[bytes]:
    """Yield the operators that cut the current block out of all pixels for the model."""
    steps: list[tuple[str, bytes]] = []
    if layout.columns:
        turned = field(8, 1) + field(8, 0)
        steps.append(("Transpose", _attribute("perm", _INTS_ATTRIBUTE, turned)))
    if layout.kind != FLOAT:
        steps.append(("Cast", _attribute("to", _INT_ATTRIBUTE, field(3, FLOAT))))
    cuts = [*(names.of(f"cut_{place}") for place in range(len(steps))), "pixels"]
    number, length, axis, begin, end = map(names.of, ("number", "rows", "axis", "begin", "end"))
    yield _node("Mul", [number, length], [begin])
    yield _node("Add", [begin, length], [end])
    yield _node("Slice", [names.of("pixels"), begin, end, axis], cuts[:1])
    for place, (operator, attribute) in enumerate(steps):
        yield _node(operator, [cuts[place]], [cuts[place + 1]], attribute)
    for name, value in ((length, rows), (axis, int(layout.columns))):
        data = value.to_bytes(8, "little")
        yield field(_INITIALIZER, _tensor(name, INT64, (1,), data))


def _parts_of(model: bytes, wanted: set[str], without: set[str]) -> Iterator[bytes]:
    """Yield the operators that the values `wanted` depend on, and the model's constants.

    ONNX Runtime computes every operator of a graph, also for an output that nobody asked for. The
    constants of the names `without` are left out.
    """
    for number, graph in fields(memoryview(model)):
        if number != _GRAPH_OF_MODEL:
            continue
        parts = list(fields(as_bytes(graph)))
        nodes = [as_bytes(value) for part, value in parts if part == _NODE]
        for node in _needed(nodes, wanted):
            yield field(_NODE, node)
        for part, value in parts:
            named = part == _INITIALIZER and _name_of_tensor(as_bytes(value)) in without
            if part in (_INITIALIZER, _SPARSE_INITIALIZER) and not named:
                yield field(part, value)


def _needed(nodes: Sequence[memoryview], wanted: set[str]) -> list[memoryview]:
    """The operators that the values `wanted` depend on, in the same order."""
    names, found = set(wanted), []
    for node in reversed(nodes):
        if not names.isdisjoint(_names(node, _NODE_OUTPUT)):
            names.update(_reads(node))
            found.append(node)
    return found[::-1]


def _reads(node: memoryview) -> Iterator[str]:
    """Yield the names that an operator reads, in its own graphs too."""
    yield from _names(node, _NODE_INPUT)
    for number, attribute in fields(node):
        if number != _NODE_ATTRIBUTE:
            continue
        for kind, graph in fields(as_bytes(attribute)):
            if kind not in _GRAPHS_OF_ATTRIBUTE:
                continue
            for part, value in fields(as_bytes(graph)):
                if part == _NODE:
                    yield from _reads(as_bytes(value))


def _names(node: memoryview, kind: int) -> Iterator[str]:
    """Yield the names of an operator's inputs or of its outputs."""
    for number, value in fields(node):
        if number == kind:
            yield bytes(as_bytes(value)).decode("utf-8", "replace")


def _name_of_tensor(tensor: memoryview) -> str:
    names = [as_bytes(value) for number, value in fields(tensor) if number == 8]
    return bytes(names[-1]).decode("utf-8", "replace") if names else ""


def _node(
    operator: str, inputs: Sequence[str], outputs: Sequence[str], *attributes: bytes
) -> bytes:
    parts = [
        *(field(1, name) for name in inputs),
        *(field(2, name) for name in outputs),
        field(4, operator),
        *(field(5, attribute) for attribute in attributes),
    ]
    return field(_NODE, b"".join(parts))


def _attribute(name: str, kind: int, value: bytes) -> bytes:
    return field(1, name) + value + field(20, kind)


def _tensor(name: str, kind: int, shape: Sequence[int], data: bytes) -> bytes:
    dimensions = b"".join(field(1, size) for size in shape)
    return dimensions + field(2, kind) + field(8, name) + field(9, data)


def _port(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """Encode name, type and shape of an input or an output."""
    sizes = (field(1 if isinstance(size, int) else 2, size) for size in shape)
    tensor = field(1, kind) + field(2, b"".join(field(1, size) for size in sizes))
    return field(1, name) + field(2, field(1, tensor))
