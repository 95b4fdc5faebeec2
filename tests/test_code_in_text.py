"""Code in running text: what begins with ``ld.`` exists, and takes the parameters that it is given."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_notebooks import NOTEBOOKS, markdown

import lazydestroy as ld
from tests.refresh_notebooks import ROOT
from tools.lessons import texts_of

TEXTS = [*NOTEBOOKS, ROOT / "README.md", *sorted((ROOT / "lazydestroy" / "quizzes").glob("*.toml"))]
CALLED = object()
"""What a call gives, which is not made."""


def text_of(path: Path) -> str:
    if path.suffix != ".toml":
        return markdown(path)
    return "\n".join(texts_of(tomllib.loads(path.read_text(encoding="utf-8"))))


def code_in(text: str) -> Iterator[str]:
    """Pieces of code that begin with the package's name, printed or not."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for ticked, tagged in re.findall(r"`([^`\n]*)`|<code>([^<]*)</code>", text):
        if re.match(r"(?:print\()?ld\.", code := ticked or tagged):
            yield code


def found(node: ast.expr) -> object:
    """What an expression names, without a call of anything."""
    match node:
        case ast.Name(id="ld"):
            return ld
        case ast.Name(id="print"):
            return print
        case ast.Attribute(value=value, attr=name):
            inside = found(value)
            return CALLED if inside is CALLED else getattr(inside, name)
        case ast.Subscript(value=value, slice=place):
            inside = found(value)
            return CALLED if inside is CALLED or isinstance(place, ast.Slice) else inside[ast.literal_eval(place)]
        case ast.Call(func=function, args=arguments, keywords=keywords):
            if (callee := found(function)) is not CALLED and callee is not print:
                inspect.signature(callee).bind_partial(**{each.arg: None for each in keywords if each.arg})
            for argument in arguments:
                if ast.unparse(argument).startswith("ld."):
                    found(argument)
            return CALLED
    raise AssertionError(f"{ast.unparse(node)}: not an expression that this test reads")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_it_names_exists(path):
    for code in code_in(text_of(path)):
        found(ast.parse(code, mode="eval").body)


def test_there_is_code_in_text():
    assert sum(len(list(code_in(text_of(path)))) for path in TEXTS) > 80


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ld.EXERCISES", AttributeError),
        ("ld.series.v1[12].source()", (KeyError, IndexError, ValueError)),
        ("print(ld.reboot(memroy=1))", TypeError),
        ("ld.series.check(ld.series.v2)", AttributeError),
    ],
)
def test_what_does_not_exist_is_found(code, error):
    (there,) = code_in(f"Try `{code}`.")
    with pytest.raises(error):
        found(ast.parse(there, mode="eval").body)
