"""Whether the equations' text speaks the dialect: imports, and no decisions in Python."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mpc_agent.model_check.findings import Finding, Outcome, fault
from mpc_agent.model_check.places import place
from mpc_agent.model_check.subject import Subject

CHECK = "dialect"

_NAMES = {"math:pi", "dataclasses:replace"}
_MODULES = {"__future__", "collections.abc", "typing"}
_PACKAGE = "plant_models."
_MACHINERY = {
    f"{_PACKAGE}{name}"
    for name in (
        "batches",
        "evaluate",
        "integrate",
        "library",
        "model_file",
        "reference_run",
        "stepper",
        "units",
    )
}
"""Files that run models; all others hold equations, values or recipes, to build upon."""

_ENGINE_BLIND = {"abs", "max", "min", "round", "pow", "sum", "float", "int", "bool", "divmod"}
_WORDS = {"max": "xp.maximum", "min": "xp.minimum", "pow": "**", "abs": "xp.maximum(x, -x)"}


def check_source(subject: Subject) -> Outcome:
    """Imports and statements of the files that hold a model's equations."""
    functions = {subject.model.rhs.__name__, subject.model.outputs.__name__}
    findings: list[Finding] = []
    for file in subject.files:
        findings += dialect_findings(file, Path(file).read_text("utf-8"), functions)
    summary = f"imports and statements of {' and '.join(Path(file).name for file in subject.files)}"
    return Outcome(CHECK, summary, tuple(findings))


def dialect_findings(file: str, text: str, entries: set[str]) -> list[Finding]:
    """What in a file's text an engine could not follow.

    Args:
        file: its name.
        text: its content.
        entries: names of the functions that engines call; their arguments are values of an engine,
            and so are those of every function with an `x` or an `xp`.
    """
    tree = ast.parse(text)
    found = dict(_imports(tree))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and _takes_values(function, entries):
            for line, what in _decisions(function):
                # An `if` comes before the comparison in it: one finding for a line.
                found.setdefault(line, f"{what} (in {function.name})")
    return [fault(CHECK, found[line], place(file, line)) for line in sorted(found)]


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Imports that are not the dialect's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [(module, f"{module}:{alias.name}") for alias in node.names]
        else:
            continue
        for module, name in names:
            if name in _NAMES or (isinstance(node, ast.ImportFrom) and _may_import(module)):
                continue
            hint = (
                "; write `from math import pi`, and xp.exp for math.exp" if "math" in name else ""
            )
            shown = name.replace(":", ".")
            yield node.lineno, f"imports {shown}, which is not of the dialect{hint}"


def _may_import(module: str) -> bool:
    return module in _MODULES or (module.startswith(_PACKAGE) and module not in _MACHINERY)


def _takes_values(function: ast.FunctionDef, entries: set[str]) -> bool:
    arguments = {argument.arg for argument in function.args.args}
    return function.name in entries or bool(arguments & {"x", "xp"})


def _decisions(function: ast.FunctionDef) -> Iterator[tuple[int, str]]:
    """Statements that look at a value, which symbols do not have."""
    conditions = {
        id(part)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and _name(node.func) == "where" and node.args
        for part in [node.args[0]]
        if isinstance(part, ast.Compare) and len(part.ops) == 1
    }
    for node in ast.walk(function):
        line = getattr(node, "lineno", function.lineno)
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Match | ast.Assert):
            yield line, f"decides in Python ({_kind(node)}): write xp.where or a smooth switch"
        elif isinstance(node, ast.BoolOp) or (
            isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        ):
            yield line, "decides in Python (and, or, not): write xp.where or a smooth switch"
        elif isinstance(node, ast.Compare) and id(node) not in conditions:
            yield line, "compares in Python: only the condition of xp.where may"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = node.func.id
            if name in _ENGINE_BLIND:
                instead = _WORDS.get(name, "arithmetic or a word of xp")
                yield line, f"calls Python's {name}: write {instead}"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else ""


def _kind(node: ast.AST) -> str:
    return {"IfExp": "if"}.get(type(node).__name__, type(node).__name__.lower())
