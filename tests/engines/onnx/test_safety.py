from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.engines.onnx.safety import FORBIDDEN, NESTED, check_onnx_graph
from batchdigits.engines.onnx.session import Session
from batchdigits.errors import BundleError


def make_external(tensor: TensorProto, location: str) -> None:
    """Point a tensor at a file, without its bytes."""
    if not tensor.raw_data:
        tensor.raw_data = b"\0" * 8
    onnx.external_data_helper.set_external_data(tensor, location=location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL


@pytest.mark.parametrize(
    "location",
    ["weights.bin", "../weights.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"],
)
def test_weights_in_another_file_are_refused(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_maker: Any
) -> None:
    """Even if the file is there, in the folder where ONNX Runtime would find it."""
    monkeypatch.chdir(tmp_path)
    model = model_maker(3)
    (tmp_path / "weights.bin").write_bytes(model.graph.initializer[0].raw_data)
    make_external(model.graph.initializer[0], location)
    with pytest.raises(BundleError, match="weights in another file"):
        OnnxEngine(model.SerializeToString(), 3)


@pytest.mark.parametrize("left", ["data_location", "external_data"])
def test_half_of_the_external_mark_is_enough(left: str, model_maker: Any) -> None:
    """Neither field has any use in a model that holds its weights."""
    model = model_maker(3)
    make_external(model.graph.initializer[0], "weights.bin")
    model.graph.initializer[0].ClearField(
        {"data_location": "external_data", "external_data": "data_location"}[left]
    )
    with pytest.raises(BundleError, match="weights in another file"):
        check_onnx_graph(model.SerializeToString())


def tensor(name: str = "t") -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [2], b"\0" * 8, raw=True)


def hide_in_constant(model: onnx.ModelProto, hidden: TensorProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=hidden))


def hide_in_tensor_list(model: onnx.ModelProto, hidden: TensorProto) -> None:
    model.graph.node[0].attribute.append(helper.make_attribute("ts", [hidden]))


def hide_in_subgraph(model: onnx.ModelProto, hidden: TensorProto) -> None:
    graph = helper.make_graph([], "inner", [], [], [hidden])
    model.graph.node[0].attribute.append(helper.make_attribute("g", graph))


def hide_in_subgraph_list(model: onnx.ModelProto, hidden: TensorProto) -> None:
    graph = helper.make_graph([], "inner", [], [], [hidden])
    model.graph.node[0].attribute.append(helper.make_attribute("gs", [graph]))


def hide_in_sparse(model: onnx.ModelProto, hidden: TensorProto) -> None:
    sparse = helper.make_sparse_tensor(hidden, tensor(), [9])
    model.graph.sparse_initializer.append(sparse)


def hide_in_sparse_attribute(model: onnx.ModelProto, hidden: TensorProto) -> None:
    sparse = helper.make_sparse_tensor(tensor(), hidden, [9])
    model.graph.node[0].attribute.append(helper.make_attribute("s", sparse))


@pytest.mark.parametrize(
    "hide",
    [
        hide_in_constant,
        hide_in_tensor_list,
        hide_in_subgraph,
        hide_in_subgraph_list,
        hide_in_sparse,
        hide_in_sparse_attribute,
    ],
)
def test_no_place_hides_external_weights(hide: Any, model_maker: Any) -> None:
    """Attributes, nested graphs and sparse tensors are looked into as well."""
    good, bad = model_maker(3), model_maker(3)
    hide(good, tensor())
    check_onnx_graph(good.SerializeToString())
    hidden = tensor()
    make_external(hidden, "weights.bin")
    hide(bad, hidden)
    with pytest.raises(BundleError, match="weights in another file"):
        check_onnx_graph(bad.SerializeToString())


def test_every_way_to_a_tensor_is_known() -> None:
    """Going by ONNX's own description, no field that leads to a tensor is left out."""
    described = {onnx.ModelProto.DESCRIPTOR.name: onnx.ModelProto.DESCRIPTOR}
    todo = list(described.values())
    while todo:
        for field in todo.pop().fields:
            kind = field.message_type
            if kind is not None and kind.name not in described:
                described[kind.name] = kind
                todo.append(kind)

    def reaches(kind: str, seen: frozenset[str] = frozenset()) -> bool:
        nested = {f.message_type.name for f in described[kind].fields if f.message_type}
        return kind == "TensorProto" or any(
            reaches(one, seen | {kind}) for one in nested - seen - {kind}
        )

    visited = ["ModelProto", *NESTED]
    for name in visited:
        for field in described[name].fields:
            kind = field.message_type
            if kind is None or not reaches(kind.name) or (name, field.number) in FORBIDDEN:
                continue
            assert NESTED[name].get(field.number) == kind.name, f"{name}.{field.name}"


@pytest.mark.parametrize("where", ["node", "import"])
def test_operators_of_another_domain_are_refused(where: str, model_maker: Any) -> None:
    """No library of operators is ever asked for, ONNX Runtime's own extras included."""
    model = model_maker(3)
    if where == "node":
        model.graph.node[1].domain = "com.microsoft"
    else:
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(BundleError, match=r"operators of 'com\.microsoft'"):
        OnnxEngine(model.SerializeToString(), 3)


def test_functions_and_training_graphs_are_refused(model_maker: Any) -> None:
    """They hold tensors of their own and no exporter of ours writes them."""
    model = model_maker(3)
    function = helper.make_function("own", "f", ["x"], ["y"], [], [helper.make_opsetid("", 17)])
    model.functions.append(function)
    with pytest.raises(BundleError, match="functions of its own"):
        check_onnx_graph(model.SerializeToString())
    model = model_maker(3)
    model.training_info.add()
    with pytest.raises(BundleError, match="training graphs"):
        check_onnx_graph(model.SerializeToString())


@pytest.mark.parametrize(
    "data",
    [
        b"\x3a",
        b"\x3a\xff\xff\xff\xff\x0f",
        b"\x38\x01",
        b"\x3b",
        b"\xff" * 11,
        b"\xba\x80\x80\x80\x80\x80\x80\x01\x00",
        b"    ORTM" + b"\0" * 64,
    ],
)
def test_what_is_no_protocol_buffer_is_refused(data: bytes) -> None:
    """Cut off, with a field of the wrong type, a group, an endless number, or another format."""
    with pytest.raises(BundleError):
        OnnxEngine(data, 3)


@pytest.mark.parametrize("first", [b"\x12\x08abORTMcd", b"\x32\x06abORTM"])
def test_a_model_that_is_also_in_the_runtimes_own_format_is_refused(
    model_maker: Any, first: bytes
) -> None:
    """Fields in front of a valid model put the mark of the other format where it is looked for."""
    model = first + model_maker(3).SerializeToString()
    assert model[4:8] == b"ORTM"
    onnx.load_from_string(model)
    with pytest.raises(BundleError, match="ONNX Runtime's own format"):
        Session(model)


@pytest.mark.parametrize(
    ("name", "odd"), [(b"pixels", b"pix\xffls"), (b"probabilities", b"\xff" * 13)]
)
def test_names_of_ports_that_are_no_text_are_refused(
    model_maker: Any, name: bytes, odd: bytes
) -> None:
    """ONNX Runtime takes them, and Python can't read them."""
    model = model_maker(3).SerializeToString().replace(name, odd)
    with pytest.raises(BundleError, match="a name that is not UTF-8"):
        OnnxEngine(model, 3)


@pytest.mark.parametrize("name", [b"\0" * 6, b"\x1b[2J.a", b"hidden"])
def test_names_of_ports_that_are_others_are_refused(model_maker: Any, name: bytes) -> None:
    model = model_maker(3).SerializeToString().replace(b"pixels", name)
    with pytest.raises(BundleError, match="model.onnx"):
        OnnxEngine(model, 3)


def test_a_model_that_can_not_be_loaded_prints_nothing(
    model_maker: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """ONNX Runtime would try other processors, and print that to standard output."""
    model = model_maker(3)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(BundleError, match="can't be loaded"):
        Session(model.SerializeToString())
    assert capfd.readouterr() == ("", "")


def test_bottomless_nesting_is_refused(model_maker: Any) -> None:
    """Before Python's own stack ends."""
    graph = helper.make_graph([], "innermost", [], [])
    for _ in range(20):
        node = helper.make_node("If", ["x"], ["y"], then_branch=graph)
        graph = helper.make_graph([node], "g", [], [])
    model = helper.make_model(graph)
    with pytest.raises(BundleError, match="nests deeper"):
        check_onnx_graph(model.SerializeToString())
