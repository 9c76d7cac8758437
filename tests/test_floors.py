"""The architecture is the layout: imports go one way through the floors."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import PACKAGE

# Lowest first. A room imports rooms on floors below its own, never one beside it. A room's
# `__main__` is a command, on the commands' floor.
FLOORS = [
    {"text", "images", "clock", "_version", "html", "threads", "cpus"},
    {"errors", "bitmaps"},
    {"files", "cli"},
    {"rows"},
    {"archive"},
    {"engines", "monitoring"},
    {"store"},
    {"scoring"},
    {"evaluation"},
    {"packing"},
    {"training", "report", "forms", "fields", "review"},
    {"api"},
    {"exports", "spark"},
    {"predict", "train", "evaluate", "receipts", "bundles"},
    {"__main__"},
]
FLOOR_OF = {name: height for height, names in enumerate(FLOORS) for name in names}
COMMANDS = FLOOR_OF["predict"]

# The floors inside a room, lowest first; a subfolder counts as one. Rooms that are not here have
# one floor, or few enough files for `test_no_modules_import_each_other` alone.
INNER_FLOORS = {
    "files": [
        {"objects"},
        {"digest", "lock", "names", "plain", "strict_json"},
        {"atomic", "content"},
        {"compression", "folder", "targets", "written"},
        {"commit", "streams"},
        {"inputs", "places"},
    ],
    "rows": [
        {"arrow", "naming", "rejects"},
        {"pixels", "template"},
        {"options"},
        {"contract"},
        {"partitions"},
        {"arrays", "formats"},
        {"csv", "parquet", "memory"},
    ],
    "engines": [{"contract"}, {"golden", "onnx", "keras"}, {"open"}],
    "scoring": [
        {"ledger", "options"},
        {"decision", "receipt"},
        {"scorer"},
        {"batches", "columns", "rescore", "watch"},
        {"outputs", "replay"},
        {"one_input", "published"},
        {"dry_run"},
        {"run"},
    ],
    "training": [
        {"augmentation", "data", "review_threshold", "settings", "strangeness"},
        {"networks", "options", "split", "workers"},
        {"epochs"},
        {"fit"},
        {"calibration"},
        {"cross_validation"},
        {"importing", "sweep"},
        {"job"},
    ],
    "bundles": [
        {"common"},
        {"aliases", "contents", "diff", "export", "importing", "signatures"},
        {"__main__"},
    ],
}

HEAVY = {"tensorflow", "keras", "sklearn", "pandas", "joblib", "onnx", "tf2onnx", "mlflow"}
HEAVY |= {"optuna", "matplotlib", "h5py", "scipy", "pyspark"}
HEAVY_ALLOWED = {"training", "packing", "engines", "exports", "spark"}

MOST_FILES = 15

OF_TWO_RECORDS = [["rows/options.py: of_flags", "store/choice.py: of_flags"]]
"""Functions that are the same because the records are alike."""

MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    """The module's dotted name, `batchdigits.rows.csv` for the folder's `__init__`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


def imports_of(path: Path, tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Every module that a file imports, at its top or inside a function: `from a import b` too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in NAMES else str(node.module)), node


def ours(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    found = {name for name, _ in imports_of(path, tree_of(path))}
    return {name for name in found if name.split(".")[0] == "batchdigits"}


def room_of(name: str) -> str:
    return (name.split(".") + [""])[1]


def inner_of(name: str) -> str:
    """The file or subfolder of a room; empty for the room's `__init__`."""
    return (name.split(".") + ["", ""])[2]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """A module imports its own room, or rooms on floors below it; never beside it, never up."""
    name = name_of(path)
    if name == "batchdigits":
        pytest.skip("the package's door: it hands out the API lazily")
    room = room_of(name)
    assert room in FLOOR_OF, f"{room} is on no floor: add it to FLOORS"
    floor = COMMANDS if name.endswith(f"{room}.__main__") else FLOOR_OF[room]
    for imported in ours(path):
        assert imported != "batchdigits", f"{path} imports the package itself, whose door is above"
        other = room_of(imported)
        if other != room:
            assert FLOOR_OF[other] < floor, f"{path} imports {imported}"


@pytest.mark.parametrize("room", INNER_FLOORS)
def test_imports_inside_a_room_go_down_too(room: str) -> None:
    """Each file or subfolder of the room has its floor, and imports only lower ones."""
    floor_of = {name: h for h, names in enumerate(INNER_FLOORS[room]) for name in names}
    for name, path in NAMES.items():
        part = inner_of(name)
        if room_of(name) != room or not part:
            continue
        assert part in floor_of, f"{room}/{part} is on no floor: add it to INNER_FLOORS"
        inner = {inner_of(other) for other in ours(path) if room_of(other) == room} - {part, ""}
        assert all(floor_of[other] < floor_of[part] for other in inner), f"{path} imports {inner}"


def test_contributing_lists_the_floors() -> None:
    """The table under "Where things are" has a line for each floor, lowest first."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.search(r"\| rooms \| subject \|\n\|[-|]+\n((?:\|.*\n)+)", text)
    assert table
    cells = [line.split("|")[1] for line in table[1].splitlines()]
    assert [set(re.findall(r"`(\w+)`", cell)) for cell in cells] == FLOORS


def test_no_modules_import_each_other() -> None:
    """There is no circle, not even inside a room."""
    graph = {name: ours(path) & set(NAMES) for name, path in NAMES.items()}
    graph.pop("batchdigits")
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name in done or name not in graph:
            return
        for imported in sorted(graph[name]):
            visit(imported, (*way, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_a_folder_has_one_subject_that_its_init_names(folder: Path) -> None:
    """At most fifteen files beside the subfolders, and a docstring that says what lives there."""
    files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES, f"{folder.name} has {len(files)} files: two subjects?"
    text = ast.get_docstring(tree_of(folder / "__init__.py"))
    assert text
    assert "TODO" not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    """Nothing pays for TensorFlow at import time, and few rooms may use it."""
    tree = tree_of(path)
    at_module_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for name, node in imports_of(path, tree):
        if name.split(".")[0] in HEAVY and not _is_typing_only(tree, node):
            assert node not in at_module_level, f"{path} imports {name} at module level"
            assert room_of(name_of(path)) in HEAVY_ALLOWED, f"{path} imports {name}"


def _is_typing_only(tree: ast.Module, node: ast.AST) -> bool:
    blocks = [
        statement
        for statement in tree.body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    ]
    return any(node in ast.walk(block) for block in blocks)


def test_few_functions_take_many_parameters() -> None:
    """At most eight, but for the public functions whose keywords are flags."""
    many, public = [], {("api.py", "score"), ("api.py", "pack"), ("rows.py", "score")}
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
                if count > 8 and (path.name, node.name) not in public:
                    many.append(f"{path.relative_to(PACKAGE)}: {node.name} takes {count}")
    assert not many


def test_no_function_is_written_twice() -> None:
    """But for the shortest ones: a second one is imported from the first."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                text = "\n".join(map(ast.unparse, body))
                if len(text) > 100:
                    found[text].append(f"{path.relative_to(PACKAGE)}: {node.name}")
    assert [names for names in found.values() if len(names) > 1] == OF_TWO_RECORDS


def test_one_module_imports_onnx_runtime() -> None:
    """The one that switches its telemetry off first; nothing imports it by another way."""
    importing = {
        name
        for name, path in NAMES.items()
        for imported, _ in imports_of(path, tree_of(path))
        if imported.split(".")[0] == "onnxruntime"
    }
    assert importing == {"batchdigits.engines.onnx.session"}
    naming = {name for name, path in NAMES.items() if "onnxruntime" in path.read_text("utf-8")}
    listed_by_name = {"batchdigits.packing.frameworks", "batchdigits.exports.mlflow_folder"}
    assert naming == importing | listed_by_name
