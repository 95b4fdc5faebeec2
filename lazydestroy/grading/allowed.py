"""What the text of an answer may use when it is graded: what its task offers, plain Python, and nothing of the judge.

An answer runs in the same interpreter as the search that judges it. So it must not get hold of that search, of the
model behind the kernel, or of an answer that this package has. `refusal` reads the text before it runs.
"""

from __future__ import annotations

import ast
import builtins
import errno
import inspect
import itertools
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from .. import errnos, uvcb
from .._core import DeferredList, Lock, Table, Task
from ..exercises.patching import PatchExercise
from ..kernel import structs
from ..machine import Machine
from ..uvcb import UVC
from .handed_in import unannotated


def _copy(found: Any) -> SimpleNamespace:
    """The public names of a module or an enumeration; the judge does not see what an answer writes into a copy."""
    return SimpleNamespace(**{name: getattr(found, name) for name in dir(found) if not name.startswith("_")})


def _maker(structure: type) -> Callable[..., Any]:
    """A function that makes one of the kernel's structures. An answer that had the class could change all of them."""

    def make(*values: Any, **named: Any) -> Any:
        return structure(*values, **named)

    return make


FACADE = SimpleNamespace(UVC=SimpleNamespace(**UVC.__members__))
"""What stands for this package in an answer: the names of the Ultravisor Calls."""

STRUCTS = SimpleNamespace(
    **{name: _maker(getattr(structs, name)) for name in ("Answer", "DeferredPriv", "PvVmToBeDestroyed")}
)

TYPING = SimpleNamespace(
    **{name: getattr(typing, name) for name in ("Any", "Callable", "Final", "Generator", "Iterable", "Iterator")},
    **{name: getattr(typing, name) for name in ("Dict", "List", "Optional", "Sequence", "Set", "Tuple", "Union")},
    TYPE_CHECKING=False,
)
"""What is only written into annotations. The module itself can evaluate them, and so any text."""

MODULES: dict[str, Any] = {
    "__future__": SimpleNamespace(annotations=None),
    "typing": TYPING,
    "errno": _copy(errno),
    "itertools": _copy(itertools),
    "math": _copy(math),
    "lazydestroy": FACADE,
    "lazydestroy.errnos": _copy(errnos),
    "lazydestroy.uvcb": FACADE,
    "lazydestroy.kernel.structs": STRUCTS,
}
"""What an answer may import."""

_PLAIN_NAMES = (
    "abs all any bin bool bytes callable chr dict divmod enumerate filter float format frozenset hex int isinstance",
    "iter len list map max min next object oct ord pow print property range repr reversed round set slice sorted",
    "staticmethod str sum super tuple zip None True False NotImplemented Ellipsis",
)

_ERRORS = {name for name, found in vars(builtins).items() if isinstance(found, type) and issubclass(found, Exception)}

_BUILTINS = _ERRORS | {name for line in _PLAIN_NAMES for name in line.split()}

_OF_THE_MODEL = {"freed", "dangling", "on_use"}
"""Fields of the kernel's structures that are the model's own notes: whether something was freed, and who is told."""

_MACHINE = {"leak_page", "start_thread", "warn", "warn_once"}
"""What an answer may ask of the machine."""

_PLAIN = {
    name
    for each in (str, bytes, int, float, list, tuple, dict, set, BaseException, property)
    for name in dir(each)
    if not name.startswith("_")
}

_PAGE = {"arch_1", "paddr", "pfn", "refs"}

_SEEN = _PAGE | {"pages", "read", "write", "room", "append", "add_list_page", "capacity", "list_pages", "pages_listed"}
"""What the kernel sees of a page, a page table, a lock and the list of pages that are set aside."""

_FRAMES = ("gi_", "cr_", "ag_", "f_", "tb_", "co_")
"""How attributes begin that lead from a piece of code to what runs it."""


def _fields_of(structure: type) -> Iterator[str]:
    if is_dataclass(structure):
        yield from (field.name for field in fields(structure))
    else:
        yield from (name for name in inspect.get_annotations(structure) if not name.startswith("_"))
    yield from (name for name, found in vars(structure).items() if isinstance(found, property))


def _structures() -> Iterator[type]:
    for found in vars(structs).values():
        if isinstance(found, type) and found.__module__ == structs.__name__:
            yield found
    for found in vars(uvcb).values():
        if isinstance(found, type) and found.__module__ == uvcb.__name__:
            yield found


_DATA = {name for each in _structures() for name in _fields_of(each)} - _OF_THE_MODEL

_ONE = Machine("32 KiB")

_CLASSES = (Table, Task, DeferredList, Lock, UVC, *_structures())

_OBJECTS = (_ONE, _ONE.uv, _ONE.memory, _ONE.engine, UVC.INIT_UV, *_CLASSES)

_MODEL = ({name for each in _OBJECTS for name in dir(each)} | set(vars(_ONE.kernel))) - _OF_THE_MODEL
"""Names of the model: no answer may call something of its own so, since that would let it reach the model's."""


class _Refused(Exception):
    """Why an answer is refused."""


class _Reader(ast.NodeVisitor):
    """Reads an answer, and stops at what it may not use."""

    def __init__(self, exercise: PatchExercise, tree: ast.Module) -> None:
        kernel = exercise.kernel.kernel
        self.writes = exercise.writes
        self.functions = {name for name in dir(kernel) if not name.startswith("_")}
        self.bound = set(_bound(tree))
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        stored = {
            node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        }
        named = defined | stored | self.bound
        self.own = named - _MODEL - _OF_THE_MODEL
        self.taken = (named & _MODEL) - self.functions
        self.known = self.functions | _DATA | _SEEN | _PLAIN | set(vars(UVC)["_member_names_"]) | _MODULE_NAMES
        self.known |= set(exercise.writes)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if node.keywords:
            raise _Refused(f"class {node.name} has a keyword in its head: write the class without it")
        for each in _in_scope(node.body):
            for name in _names_bound(each):
                self._attribute(name, isinstance(each, ast.FunctionDef))
        self.generic_visit(node)

    def _attribute(self, name: str, is_function: bool) -> None:
        """See whether a class may have an attribute of this name, however it comes to it."""
        if name in self.functions and name not in self.writes:
            yours = " and ".join(self.writes)
            raise _Refused(f"it replaces {name} as well; only {yours} is yours to write")
        if _is_special(name) and not (name == "__init__" and is_function):
            raise _Refused(f"it writes {name}, with which objects can pretend to be others: do without")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        raise _Refused(f"{node.name} is an async function; the kernel has none")

    def visit_Import(self, node: ast.Import) -> None:
        for each in node.names:
            if each.name not in MODULES or "." in each.name:
                raise _Refused(f"it imports {each.name}; an answer may import {_IMPORTABLE}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for each in node.names:
            found = MODULES.get(node.module or "") if not node.level else None
            if found is None or each.name.startswith("_") or not hasattr(found, each.name):
                raise _Refused(f"it imports {each.name} from {node.module}; an answer may import {_IMPORTABLE}")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id.startswith("__"):
            raise _Refused(f"it uses {node.id}, which leads out of the exercise")
        if isinstance(node.ctx, ast.Load) and node.id not in self.bound and node.id not in _BUILTINS:
            raise _Refused(f"it uses {node.id}, which is not there when you are graded: write the code itself")

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        for name in node.kwd_attrs:
            self._read(name)
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if node.attr in ("format", "format_map") and not _is_plain_pattern(node.value):
            raise _Refused(f"it uses .{node.attr} with a text that could lead out of the exercise: use an f-string")
        if isinstance(node.value, ast.Attribute) and node.value.attr == "machine":
            if isinstance(node.ctx, ast.Load) and node.attr in _MACHINE:
                self.visit(node.value.value)
                return
        else:
            self.generic_visit(node)
        if node.attr == "machine" or (isinstance(node.value, ast.Attribute) and node.value.attr == "machine"):
            raise _Refused(f"of self.machine it may use {', '.join(sorted(_MACHINE))}: the rest is the model itself")
        if isinstance(node.ctx, ast.Load):
            self._read(node.attr)
        else:
            self._written(node)

    def _read(self, name: str) -> None:
        if _is_special(name) or name.startswith(_FRAMES):
            raise _Refused(f"it uses .{name}, which leads out of the exercise")
        if name in self.taken and name not in self.known:
            raise _Refused(_TAKEN.format(name))
        if name not in self.known and name not in self.own:
            raise _Refused(f"it uses .{name}, which is neither the kernel's nor your own")

    def _written(self, node: ast.Attribute) -> None:
        mine = isinstance(node.value, ast.Name) and node.attr in self.own and node.attr not in self.functions
        if node.attr in self.taken and node.attr not in self.known:
            raise _Refused(_TAKEN.format(node.attr))
        if not mine and node.attr not in _DATA and node.attr not in _PAGE - {"paddr", "pfn"}:
            raise _Refused(f"it sets .{node.attr}, which is no field of the kernel's structures")


_TAKEN = "it calls something of its own {}, as the model does: use another name"


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_plain_pattern(node: ast.expr) -> bool:
    """Whether it is a text whose fields are replaced as they are: no attribute or item of them is looked up."""
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"\{[^{}:!]*[.\[]", node.value) is None
    )


def _bound(tree: ast.AST) -> Iterator[str]:
    """The names that a text gives to something."""
    for node in ast.walk(tree):
        yield from _names_bound(node)


def _names_bound(node: ast.AST) -> Iterator[str]:
    """The names that one node of a text gives to something."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def _in_scope(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """What stands in a scope, nested ever so deeply, but not what runs only when its functions are called."""
    for node in nodes:
        if not isinstance(node, ast.arg):
            yield node
        match node:
            case ast.FunctionDef(body=body) | ast.ClassDef(body=body):
                yield from _in_scope(each for each in ast.iter_child_nodes(node) if each not in body)
            case ast.Lambda(args=defaults):
                yield from _in_scope([defaults])
            case _:
                yield from _in_scope(ast.iter_child_nodes(node))


_MODULE_NAMES = {name for each in MODULES.values() for name in vars(each) if not name.startswith("_")}

_IMPORTABLE = "errno, itertools, math and typing, and from lazydestroy UVC and Answer"


def refusal(text: str, exercise: PatchExercise) -> str:
    """Why an answer is not run; empty if it may.

    Parameters
    ----------
    text : str
        Python.
    exercise : PatchExercise
        What it answers.

    Returns
    -------
    str
        One sentence.
    """
    try:
        tree = unannotated(ast.parse(text))
        _Reader(exercise, tree).visit(tree)
    except _Refused as refused:
        return f"Your answer was not run: {refused}."
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return f"Your answer is no Python: {getattr(error, 'msg', error)}{f', in line {line}' if line else ''}."
    except (RecursionError, MemoryError):  # the latter from Python's parser
        return "Your answer was not run: it is nested too deeply."
    return ""


def _import(name: str, *_: Any) -> Any:
    if name not in MODULES:
        raise ImportError(f"an answer may import {_IMPORTABLE}")
    return MODULES[name]


def namespace(file: str) -> ModuleType:
    """Make the module in which an answer runs: it knows plain Python, and what `MODULES` has.

    Parameters
    ----------
    file : str
        Where the text is, so that its lines can be told.
    """
    module = ModuleType("answer")
    module.__file__ = file
    safe = {name: getattr(builtins, name) for name in _BUILTINS if hasattr(builtins, name)}
    vars(module)["__builtins__"] = {**safe, "__build_class__": builtins.__build_class__, "__import__": _import}
    return module


__all__ = ["FACADE", "MODULES", "namespace", "refusal"]
