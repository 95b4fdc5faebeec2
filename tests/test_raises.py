"""What a public function raises its docstring says, in a section "Raises"."""

import ast
import builtins
import dataclasses
import inspect
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

import lazydestroy as ld

PACKAGE = Path(ld.__file__).parent

ANSWERS = PACKAGE / "exercises" / "patches"
"""Functions of the kernel, as a reader would write them."""

NEEDS = {"_need": "RuntimeError", "bad_value": "ValueError"}
"""Functions that raise an error, or make one, and which."""

MODULES = [file for file in sorted(PACKAGE.rglob("*.py")) if ANSWERS not in file.parents]

EXPORTED = [ld, *(import_module(f"lazydestroy.{name}") for name in ("series", "plots", "sweeps", "toy", "widgets"))]


def name_of(call):
    """The last word of what is called."""
    return ast.unparse(call.func if isinstance(call, ast.Call) else call).rpartition(".")[2]


def inside(node):
    """All that is in a node, without what is in the functions in it."""
    for each in ast.iter_child_nodes(node):
        if not isinstance(each, ast.FunctionDef | ast.Lambda):
            yield each
            yield from inside(each)


def raised_by(function):
    """What a function raises by itself, and not in a function that it makes."""
    nodes = list(inside(function))
    named = [name_of(node.exc) for node in nodes if isinstance(node, ast.Raise) and node.exc is not None]
    called = [name_of(node) for node in nodes if isinstance(node, ast.Call)]
    raised = {NEEDS.get(name, name) for name in (*named, *(name for name in called if name == "_need"))}
    return {name for name in raised if hasattr(builtins, name)}


def public(tree, path=""):
    """The public functions of a module or a class, with the docstring that tells of them."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node, f"{path}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and (node.name == "__init__" or not node.name.startswith("_")):
            yield f"{path}{node.name}", node, ast.get_docstring(tree if node.name == "__init__" else node) or ""


def section(docstring):
    return docstring.partition("Raises\n------\n")[2]


def test_every_function_that_raises_an_error_says_so():
    left = [
        f"{file.relative_to(PACKAGE)}: {name} raises {error}"
        for file in MODULES
        for name, function, docstring in public(ast.parse(file.read_text(encoding="utf-8")))
        for error in sorted(raised_by(function))
        if error not in section(docstring)
    ]
    assert not left, "\n".join(left)


def validators():
    """Functions of `units` that refuse a value."""
    tree = ast.parse((PACKAGE / "units.py").read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = {name for name, function in functions.items() if "ValueError" in raised_by(function)}
    while more := {
        name for name, function in functions.items() if name not in found and found & set(called_by(function))
    }:
        found |= more
    return found


def called_by(function):
    return [name_of(node) for node in ast.walk(function) if isinstance(node, ast.Call)]


def checks_what_it_is_given(function, refuse):
    """Whether a function has one of its parameters checked by a function of `units`."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    given = set(inspect.signature(function).parameters)
    return any(
        isinstance(node, ast.Call)
        and name_of(node) in refuse
        and given & {each.id for each in node.args if isinstance(each, ast.Name)}
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize("module", EXPORTED, ids=lambda module: module.__name__)
def test_a_function_that_checks_what_you_give_it_says_that_it_refuses_it(module):
    refuse = validators()
    functions = {name: getattr(module, name) for name in module.__all__ if inspect.isfunction(getattr(module, name))}
    assert not [
        name
        for name, function in functions.items()
        if checks_what_it_is_given(function, refuse) and "ValueError" not in section(inspect.getdoc(function) or "")
    ]


@pytest.mark.parametrize("result", [ld.Run, ld.Access, ld.series.Verdict, ld.run.Film, ld.run.Configuration])
def test_a_result_says_what_each_of_its_fields_is(result):
    fields = [each.name for each in dataclasses.fields(result)] if dataclasses.is_dataclass(result) else result._fields
    told = inspect.getdoc(result).partition("Attributes\n---")[2]
    named = {
        name.strip() for line in told.splitlines() if " : " in line for name in line.partition(" : ")[0].split(",")
    }
    assert {name for name in fields if not name.startswith("_")} <= named
