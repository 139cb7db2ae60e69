"""Model files speak the dialect and nothing else: `math.exp` of a symbol is silently NaN."""

import ast
from pathlib import Path

import pytest

import plant_models
from plant_models.dialect import ENGINES

FOLDER = Path(plant_models.__file__).parent
MACHINERY = {"__init__.py", "dialect.py", "model.py", "integrate.py", "stepper.py", "library.py"}
"""Files that run models; every other file holds equations."""

EQUATIONS = sorted(path for path in FOLDER.rglob("*.py") if path.name not in MACHINERY)
ALLOWED = {"plant_models.dialect", "plant_models.model", "plant_models.gas_transfer", "typing"}
ENGINE_BLIND = {"abs", "max", "min", "round", "pow", "sum", "float", "int", "bool"}
"""Builtins that fail or decide at build time when they meet a symbol."""


def imports(tree: ast.Module) -> set[str]:
    """Every imported name, `module` for an import and `module:name` for a from-import."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}:{alias.name}" for alias in node.names}
    return names


def functions_of_symbols(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions that take a state or an engine: their arguments may be symbols."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [item for item in functions if {arg.arg for arg in item.args.args} & {"x", "xp"}]


@pytest.mark.parametrize("path", EQUATIONS, ids=lambda path: path.name)
def test_equations_import_only_the_dialect(path: Path) -> None:
    tree = ast.parse(path.read_text())
    foreign = {
        name
        for name in imports(tree)
        if name != "math:pi" and name.partition(":")[0] not in ALLOWED
    }
    assert not foreign


@pytest.mark.parametrize("path", EQUATIONS, ids=lambda path: path.name)
def test_equations_decide_nothing_on_symbols(path: Path) -> None:
    for function in functions_of_symbols(ast.parse(path.read_text())):
        for node in ast.walk(function):
            where = f"{path.name}:{getattr(node, 'lineno', 0)} in {function.name}"
            assert not isinstance(node, ast.If | ast.IfExp | ast.Compare | ast.BoolOp), where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ENGINE_BLIND, where


def test_there_are_equations_to_judge() -> None:
    assert {"cho_mab.py", "gas_transfer.py"} <= {path.name for path in EQUATIONS}


def test_the_engines_have_different_names() -> None:
    assert [engine.name for engine in ENGINES] == ["numpy", "jax", "casadi"]
