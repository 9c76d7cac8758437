"""The architecture is the layout: imports go one way through the floors."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "batchdigits"

FLOORS = [
    {"errors", "clock", "startup"},
    {"files"},
    {"rows", "archive"},
    {"engines"},
    {"scoring"},
    {"training"},
    {"report"},
    {"api"},
    {"exports"},
    {"cli"},
    {"bundle_commands"},
    {"predict", "train", "evaluate", "bundles", "receipts"},
    {"__main__"},
]
FLOOR_OF = {name: height for height, names in enumerate(FLOORS) for name in names}
HEAVY = {"tensorflow", "keras", "sklearn", "pandas", "joblib", "onnx", "tf2onnx", "mlflow"}
HEAVY |= {"optuna", "matplotlib"}
HEAVY_ALLOWED = {"training", "engines", "exports"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_of(path: Path, tree: ast.Module) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.append((node.module or "", node))
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    """A module imports its own folder, or floors below it; never a neighbour, never upwards."""
    part = part_of(path)
    if part == "__init__":
        pytest.skip("the package's door: it hands out the API lazily")
    assert part in FLOOR_OF, f"{part} stands on no floor: add it to FLOORS"
    for name, _ in imports_of(path, tree_of(path)):
        parts = name.split(".")
        if parts[0] != "batchdigits" or len(parts) < 2 or parts[1] == part:
            continue
        assert FLOOR_OF[parts[1]] < FLOOR_OF[part], f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_inside_functions(path: Path) -> None:
    """Nothing pays for TensorFlow at import time, and only training and engines may use it."""
    tree = tree_of(path)
    at_module_level = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for name, node in imports_of(path, tree):
        if name.split(".")[0] in HEAVY and not _is_typing_only(tree, node):
            assert node not in at_module_level, f"{path} imports {name} at module level"
            assert part_of(path) in HEAVY_ALLOWED, f"{path} imports {name}"


def _is_typing_only(tree: ast.Module, node: ast.AST) -> bool:
    blocks = [
        statement
        for statement in tree.body
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"
    ]
    return any(node in ast.walk(block) for block in blocks)
