"""The patches as something to read: a layer's code, what it changes in the kernel below it, and what is known of it.

``patch.source()`` and ``patch.diff()`` end here. Everything is shown twice: as text for a terminal, as HTML for a
notebook. The text of a function is what Python finds in its file or notebook cell; nothing here knows a patch by name.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from html import escape
from itertools import groupby, zip_longest
from operator import itemgetter
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, NamedTuple

from ..kernel import Kernel
from ..layers import Layer, compose, function_of, functions_of, summary_of
from ..units import shown, whole_number
from .versions import version_of

if TYPE_CHECKING:
    from ..layers import Patch, Series

CELL = "a notebook cell"
"""Where code is said to be that is in no module's file."""

NOWHERE = "no source"
"""Where code is said to be that Python knows no text of."""


# Finding code


@dataclass(frozen=True, slots=True)
class Code:
    """Some lines of a file or of a notebook cell.

    Attributes
    ----------
    file : str
        The file, seen from where its package lies; or `CELL`, or `NOWHERE`.
    first : int
        Number of the first line.
    lines : tuple of str
        The lines without their common indentation. Empty if the source cannot be found.
    """

    file: str
    first: int
    lines: tuple[str, ...]

    @property
    def place(self) -> str:
        """File and lines, in words."""
        return f"{self.file}, lines {self.first}–{self.first + len(self.lines) - 1}" if self.lines else self.file


def _file_of(function: FunctionType) -> str:
    """The name of a function's file, the same on every computer."""
    module, file = (function.__globals__.get(name) for name in ("__name__", "__file__"))
    name = Path(function.__code__.co_filename).name
    if file is None or Path(file).name != name:
        return CELL
    if module == "__main__":
        return name
    return f"{module}".replace(".", "/") + ("/__init__.py" if name == "__init__.py" else ".py")


def _lines(text: Iterable[str]) -> tuple[str, ...]:
    return tuple(textwrap.dedent("".join(text)).removesuffix("\n").split("\n"))


def _code_of_function(function: FunctionType) -> Code:
    try:
        text, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return Code(NOWHERE, 0, ())
    return Code(_file_of(function), first, _lines(text))


def _code_of_class(layer: type) -> Code:
    """A class, found by way of its functions: Python itself does not find the classes of a notebook cell."""
    for _, function in functions_of(layer):
        file, place = function.__code__.co_filename, function.__code__.co_firstlineno
        linecache.checkcache(file)
        text = linecache.getlines(file, function.__globals__)
        try:
            nodes = list(ast.walk(ast.parse("".join(text))))
        except SyntaxError:
            continue
        for node in nodes:
            if isinstance(node, ast.ClassDef) and node.name == layer.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                last = node.end_lineno or first
                if first <= place <= last:
                    return Code(_file_of(function), first, _lines(text[first - 1 : last]))
    return Code(NOWHERE, 0, ())


def _called_below(name: str, function: FunctionType) -> tuple[str, ...]:
    """The functions that the function `name` calls through ``super()``."""
    text = "\n".join(_code_of_function(function).lines)
    try:
        # a text that could not be moved to the left is the body of something
        nodes = list(ast.walk(ast.parse(f"if True:\n{text}" if text[:1].isspace() else text)))
    except SyntaxError:  # a lambda, cut out of its line
        text = ""
    if not text:
        return (name,) if {"super", name} <= set(function.__code__.co_names) else ()
    return tuple(
        dict.fromkeys(
            node.attr
            for node in nodes
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id == "super"
        )
    )


# The code of a layer


@dataclass(frozen=True, slots=True, repr=False)
class Listing:
    """The code of a layer: highlighted in a notebook, plain in a terminal.

    Attributes
    ----------
    title : str
    parts : tuple of Code
        Its classes, mostly one.
    """

    title: str
    parts: tuple[Code, ...]

    def __repr__(self) -> str:
        return "\n".join([self.title, *(line for part in self.parts for line in self._text(part))])

    def _text(self, part: Code) -> Iterator[str]:
        yield part.place
        if not part.lines:
            yield _NO_SOURCE
        width = len(str(part.first + len(part.lines)))
        for number, line in enumerate(part.lines, part.first):
            yield f"{number:>{width}}  {line}".rstrip()

    def _repr_html_(self) -> str:
        return _page(f"<p><b>{escape(self.title)}</b></p>" + "".join(map(self._html, self.parts)))

    def _html(self, part: Code) -> str:
        head = f"<p>{_place(part)}</p>"
        if not part.lines:
            return head + f"<p>{_NO_SOURCE}</p>"
        width = len(str(part.first + len(part.lines)))
        numbers = range(part.first, part.first + len(part.lines))
        code = zip(numbers, _highlighted(part.lines), strict=True)
        return head + _pre("".join(f"{_gutter(f'{number:>{width}}  ')}{line}\n" for number, line in code), self.title)


_NO_SOURCE = "Python finds a class only by way of a function in it that was written in a file or in a notebook cell."


def source(layer: type, below: Sequence[type[Layer]] = ()) -> Listing:
    """The code of a layer.

    Parameters
    ----------
    layer : type
        A class of functions, as for `Series.plus`.
    below : sequence of type
        Layers that it may be derived from and whose code is not meant.

    Returns
    -------
    Listing
        With the name of the file, and the numbers that the lines have in it.
    """
    known = {Layer, object, *(base for each in below for base in each.__mro__)}
    # `Series.plus` derives an empty class from one that is no `Layer`: it is not what the reader wrote
    classes = [base for base in layer.__mro__ if base not in known and list(functions_of(base))] or [layer]
    return Listing(_title(layer), tuple(map(_code_of_class, classes)))


def functions_listing(kernel: Series, names: Sequence[str]) -> Listing:
    """The code of some functions of a kernel.

    Parameters
    ----------
    kernel : Series
    names : sequence of str
        Those that the kernel does not have are left out.

    Returns
    -------
    Listing
    """
    found = [getattr(kernel.kernel, name) for name in names if hasattr(kernel.kernel, name)]
    return Listing(f"{', '.join(names)}, in the kernel without the patch", tuple(map(_code_of_function, found)))


def _title(layer: type) -> str:
    number = getattr(layer, "number", None)
    if number is None:
        return layer.__name__
    return f"Patch {number}: {getattr(layer, 'title', '') or layer.__name__}"


# What differs between two kernels


@dataclass(frozen=True, slots=True)
class _Definition:
    """A function, and the class that has it. `number`: the patch that the class belongs to, or that is made from it."""

    owner: type
    function: FunctionType
    number: int | None = field(default=None, compare=False)

    @property
    def whose(self) -> str:
        if self.owner in Kernel.__mro__:
            return "the kernel's"
        return f"{self.owner.__name__}'s" if self.number is None else f"patch {self.number}'s"

    def whose_below(self, above: _Definition) -> str:
        """The same, as said of the function that `above` overrides: a patch may be made from one of version 1."""
        same = self.number is not None and self.number == above.number
        return f"{version_of(self.owner)}'s" if same else self.whose


@dataclass(frozen=True, slots=True)
class Change:
    """One function that differs.

    Attributes
    ----------
    name : str
    kind : str
        "overridden", "new", "gone", or "replaced": one layer's in place of another's.
    before : Code or None
        What it is compared with; None if the function is new.
    after : Code or None
        None if the function has gone.
    note : str
        How the two have to do with each other: whether the function below still runs.
    """

    name: str
    kind: str
    before: Code | None
    after: Code | None
    note: str

    def hunks(self, context: int | None) -> Sequence[Sequence[tuple[str, int, int, int, int]]]:
        """Stretches of equal and of different lines, as `difflib` tells them; None is the whole function in one."""
        old, new = (code.lines if code else () for code in (self.before, self.after))
        matcher = SequenceMatcher(None, old, new, autojunk=False)
        return [matcher.get_opcodes()] if context is None else list(matcher.get_grouped_opcodes(context))


@dataclass(frozen=True, slots=True, repr=False)
class Difference:
    """What is different in a kernel, function by function: a unified diff, or two columns in a notebook.

    Attributes
    ----------
    title : str
    against : str
        The kernel that it is compared with, in words.
    changes : tuple of Change
        In the order in which the patch has them.
    side_by_side : bool
        Whether a notebook shows two columns. A terminal always shows a unified diff.
    context : int or None
        How many equal lines are shown around different ones; None is all.
    """

    title: str
    against: str
    changes: tuple[Change, ...]
    side_by_side: bool = False
    context: int | None = None

    @property
    def counts(self) -> str:
        """How many functions are new, overridden, gone; in words."""
        kinds = Counter(change.kind for change in self.changes)
        found = [f"{number} {kind}" for kind, number in sorted(kinds.items(), reverse=True)]
        return "functions: " + ", ".join(found) if found else "no function is different"

    def __repr__(self) -> str:
        parts = [f"{self.title}\nagainst {self.against}; {self.counts}"]
        for change in self.changes:
            head = f"{change.name}: {change.note.replace('`', '').replace('−', '-')}"
            parts.append("\n".join([head, *_unified(change, self.context)]))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        columns = _beside if self.side_by_side else _below
        parts = [f"<p><b>{escape(self.title)}</b><br>against {escape(self.against)}; {self.counts}</p>"]
        for change in self.changes:
            both = change.before is not None and change.after is not None
            head = f"<code><b>{escape(change.name)}</b></code>: {_marked_up(change.note)}"
            parts.append((columns if both else _below)(change, head, self.context))
        return _page("".join(parts))


def difference(
    before: Series,
    after: Series,
    name: str | None = None,
    *,
    side_by_side: bool = False,
    context: int | None = None,
) -> Difference:
    """What is different between two kernels.

    Every function of a layer that only one of them has is shown against the function that it overrides. If both have
    layers of their own at the same place, the functions of the one are shown against those of the other.

    Parameters
    ----------
    before, after : Series
    name : str or None
        Show this function only.
    side_by_side : bool
        Two columns in a notebook.
    context : int or None
        How many equal lines are shown around different ones; None is all.

    Returns
    -------
    Difference

    Raises
    ------
    ValueError
        If neither kernel has a function `name`, or `context` is not a number of lines.
    """
    if name is not None and not any(_chain(kernel.kernel, name) for kernel in (before, after)):
        raise ValueError(f"name={name!r}: neither {before!r} nor {after!r} has such a function")
    changes = tuple(_changes(before.kernel, after.kernel, name))
    return Difference(repr(after), repr(before), changes, side_by_side, _lines_of_context(context))


def patch_difference(patch: Patch, side_by_side: bool, context: int | None) -> Difference:
    """What a patch makes different in the kernel below it; see `Patch.diff`."""
    below, kernel = compose(patch.below), compose((*patch.below, patch.layer))
    against = f"the kernel {_with(patch.below)}"
    changes = tuple(_changes(below, kernel))
    return Difference(_title(patch.layer), against, changes, side_by_side, _lines_of_context(context))


def _lines_of_context(context: int | None) -> int | None:
    try:
        return None if context is None else whole_number(context, "context", 0)
    except ValueError:
        accepted = "use a number of lines from 0 up, or None for whole functions"
        raise ValueError(f"context={shown(context)}: {accepted}") from None


def _with(layers: Sequence[type[Layer]]) -> str:
    """Name layers: "with patches 1–5, 7 and Mine"."""
    numbers = [layer.number for layer in layers if layer.number is not None]
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(numbers), key=lambda placed: placed[1] - placed[0])
    ]
    ranges = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)
    named = [f"patch{'es' if len(numbers) > 1 else ''} {ranges}"] if numbers else []
    named += [layer.__name__ for layer in layers if layer.number is None]
    return f"with {' and '.join(named)}" if named else "before the series"


def _chain(kernel: type, name: str) -> list[_Definition]:
    """All functions of that name, the lowest first: ``super()`` goes from each to the one before it."""
    return [
        _Definition(owner, function, _number_in(kernel, owner))
        for owner in reversed(kernel.__mro__)
        if (function := function_of(owner, name)) is not None
    ]


def _number_in(kernel: type, owner: type) -> int | None:
    """The number of the patch of a kernel that a class belongs to, or that is made from it."""
    own = (vars(base)["number"] for base in kernel.__mro__ if issubclass(base, owner) and "number" in vars(base))
    return next(own, None)


def _changes(before: type[Kernel], after: type[Kernel], only: str | None = None) -> Iterator[Change]:
    new = [base for base in reversed(after.__mro__) if base not in before.__mro__]
    gone = [base for base in reversed(before.__mro__) if base not in after.__mro__]
    names = dict.fromkeys(name for base in [*new, *gone, *after.__mro__] for name, _ in functions_of(base))
    for name in names if only is None else [only]:
        yield from _changes_of(name, _chain(before, name), _chain(after, name))


def _changes_of(name: str, before: list[_Definition], after: list[_Definition]) -> Iterator[Change]:
    for what, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        for old, new in zip_longest(range(i1, i2), range(j1, j2)):
            if old is None:
                yield _overriding(name, after[new], after[new - 1] if new else None)
            elif new is None:
                yield _going(name, before[old], before[old - 1] if old else None)
            else:
                yield _in_place_of(name, before[old], after[new])


def _overriding(name: str, it: _Definition, below: _Definition | None) -> Change:
    after = _code_of_function(it.function)
    if below is None:
        return Change(name, "new", None, after, "; ".join(["new", *_also_below(name, it), *_unknown(after)]))
    before, whose = _code_of_function(below.function), below.whose_below(it)
    if name in _called_below(name, it.function):
        said = f"overrides {whose}; calls the function below: `super()` runs the version marked −"
    else:
        said = f"overrides {whose}, and replaces it"
    return Change(
        name, "overridden", before, after, "; ".join([said, *_also_below(name, it), *_unknown(before, after)])
    )


def _going(name: str, it: _Definition, below: _Definition | None) -> Change:
    said = f"{it.whose} function goes" + (f"; it overrode {below.whose}, which comes back" if below else "")
    after = _code_of_function(below.function) if below else None
    return Change(name, "gone", _code_of_function(it.function), after, said)


def _in_place_of(name: str, old: _Definition, new: _Definition) -> Change:
    said = [f"{new.whose} function in place of {old.whose}"]
    if name in _called_below(name, new.function):
        said.append("calls the function below both with `super()`, not shown here")
    before, after = _code_of_function(old.function), _code_of_function(new.function)
    return Change(
        name, "replaced", before, after, "; ".join([*said, *_also_below(name, new), *_unknown(before, after)])
    )


def _also_below(name: str, it: _Definition) -> list[str]:
    others = [f"`{other}`" for other in _called_below(name, it.function) if other != name]
    return [f"calls {', '.join(others)} below with `super()`"] if others else []


def _unknown(*codes: Code) -> list[str]:
    return [] if all(code.lines for code in codes) else ["not all of its source can be found"]


# As text


def _unified(change: Change, context: int | None) -> Iterator[str]:
    """A unified diff; its line numbers are those of the files."""
    yield f"--- {change.before.file if change.before else '/dev/null'}"
    yield f"+++ {change.after.file if change.after else '/dev/null'}"
    for hunk in change.hunks(context):
        if hunk:
            (_, i1, _, j1, _), (_, _, i2, _, j2) = hunk[0], hunk[-1]
            yield f"@@ -{_span(change.before, i1, i2)} +{_span(change.after, j1, j2)} @@"
        for row in _rows(change, hunk):
            yield f"{row.sign}{row.text}"


def _span(code: Code | None, start: int, stop: int) -> str:
    return f"{code.first + start},{stop - start}" if code else "0,0"


class _Row(NamedTuple):
    """A line of a diff: its places in the old and in the new lines."""

    sign: str
    old: int | None
    new: int | None
    text: str


def _rows(change: Change, hunk: Iterable[tuple[str, int, int, int, int]]) -> Iterator[_Row]:
    old, new = (code.lines if code else () for code in (change.before, change.after))
    for what, i1, i2, j1, j2 in hunk:
        if what == "equal":
            yield from (_Row(" ", i, j, old[i]) for i, j in zip(range(i1, i2), range(j1, j2), strict=True))
        else:
            yield from (_Row("-", i, None, old[i]) for i in range(i1, i2))
            yield from (_Row("+", None, j, new[j]) for j in range(j1, j2))


# As HTML

# An untrusted notebook loses <style>, so that what must not be lost is an element, a sign or a style of its own.
# The class is named three times so that the rules win over JupyterLab's. Colours are those of its editor; elsewhere
# they are mixed from the colour of the text around them.
_STYLE = """\
& p{margin:.9em 0 .2em}
& p code{background:none;padding:0}
& pre{font:var(--jp-code-font-size,13px)/1.4 var(--jp-code-font-family,monospace);padding:2px 0 2px 4px;\
border:1px solid rgba(128,128,128,0.35)}
& td pre{font-size:12px}
& tbody tr{background:none}
& .n{opacity:.65;user-select:none}
& pre b{color:var(--jp-mirror-editor-keyword-color,color-mix(in srgb,green 60%,currentColor))}
& pre i{color:color-mix(in srgb,teal 35%,currentColor)}
& .s{color:var(--jp-mirror-editor-string-color,color-mix(in srgb,#c22 65%,currentColor))}
& .d{color:var(--jp-mirror-editor-number-color,color-mix(in srgb,green 60%,currentColor))}
& .f{color:var(--jp-mirror-editor-def-color,color-mix(in srgb,#36f 65%,currentColor))}
& .u{text-decoration:underline}
""".replace("&", ".ld-code" * 3)

_TINT = {"+": "rgba(0,158,115,0.16)", "-": "rgba(213,94,0,0.16)", "e": "rgba(128,128,128,0.1)"}
"""Behind lines that are new, that are gone, and that are empty because the other column has more."""

_SIGN = {"+": "+", "-": "−", " ": " "}


def _page(body: str) -> str:
    return f'<div class="ld-code"><style>{_STYLE}</style>{body}</div>'


def _pre(code: str, label: str) -> str:
    """Code that scrolls sideways; the inner element is as wide as the longest line, and so are the tints in it."""
    return (
        '<pre style="white-space: pre; overflow-x: auto; margin: 0 0 0.9em" tabindex="0" role="region" '
        f'aria-label="{escape(label)}">'
        f'<span style="display: inline-block; min-width: 100%">{code}</span></pre>'
    )


def _gutter(text: str) -> str:
    return f'<span class="n">{text}</span>'


def _run(kind: str, lines: str) -> str:
    if kind not in _TINT:
        return lines
    return f'<span style="display: block; background-color: {_TINT[kind]}">{lines}</span>'


def _marked_up(text: str) -> str:
    """Text as HTML; what is between backticks, one or two, is code."""
    return re.sub(r"(`{1,2})([^`]+)\1", r"<code>\2</code>", escape(text, quote=False))


def _highlighted(lines: Sequence[str]) -> list[str]:
    """Lines of Python as HTML; no element goes over the end of a line."""
    from pygments.lexers.python import PythonLexer  # type: ignore[import-untyped]

    rows: list[list[tuple[str, str]]] = [[]]
    for kind, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens("\n".join(lines)):
        first, *more = text.split("\n")
        mark = _mark(str(kind), text)
        rows[-1].append((mark, first))
        rows.extend([(mark, part)] for part in more)
    return [
        "".join(_element(mark, "".join(t for _, t in run)) for mark, run in groupby(row, itemgetter(0))) for row in rows
    ]


def _mark(kind: str, text: str) -> str:
    """How a token is marked: with one of the elements b and i, with a class, or not."""
    if text == "super":
        return "u"
    for prefix, mark in _MARKS:
        if kind.startswith(prefix):
            return mark
    return ""


_MARKS = (
    ("Token.Keyword", "b"),
    ("Token.Operator.Word", "b"),
    ("Token.Comment", "i"),
    ("Token.Literal.String.Doc", "i"),
    ("Token.Literal.String.Interpol", ""),
    ("Token.Literal.String", "s"),
    ("Token.Literal.Number", "d"),
    ("Token.Name.Function", "f"),
    ("Token.Name.Class", "f"),
    ("Token.Name.Decorator", "f"),
)


def _element(mark: str, text: str) -> str:
    if not mark or not text.strip():
        return escape(text, quote=False)
    start, end = (mark, mark) if mark in "bi" else (f'span class="{mark}"', "span")
    return f"<{start}>{escape(text, quote=False)}</{end}>"


def _below(change: Change, head: str, context: int | None) -> str:
    """A unified diff: numbers in the old file, numbers in the new one, the sign, the line."""
    old, new = _side(change.before), _side(change.after)
    parts = []
    for hunk in change.hunks(context):
        runs = []
        for sign, run in groupby(_rows(change, hunk), key=lambda row: row.sign):
            lines = [
                _gutter(" ".join([*old.number(row.old), *new.number(row.new), _SIGN[sign], ""]))
                + (new.html[row.new] if row.new is not None else old.html[row.old or 0])
                for row in run
            ]
            runs.append(_run(sign, "\n".join(lines) + "\n"))
        parts.append("".join(runs))
    return _head(change, head) + _pre(_JUMP.join(parts) or _SAME, change.name)


def _beside(change: Change, head: str, context: int | None) -> str:
    """Two columns, in which lines that belong together are at the same height."""
    old, new = _side(change.before), _side(change.after)
    left, right = [], []
    for hunk in change.hunks(context):
        columns: tuple[list[str], list[str]] = ([], [])
        for what, i1, i2, j1, j2 in hunk:
            height = max(i2 - i1, j2 - j1)
            for column, side, sign, start, stop in zip(columns, (old, new), "-+", (i1, j1), (i2, j2), strict=True):
                kind = " " if what == "equal" else sign
                lines = [
                    _gutter(" ".join([*side.number(place), _SIGN[kind], ""])) + side.html[place]
                    for place in range(start, stop)
                ]
                if lines:
                    column.append(_run(kind, "\n".join(lines) + "\n"))
                if height > len(lines):
                    column.append(_run("e", "\n" * (height - len(lines))))
        left.append("".join(columns[0]))
        right.append("".join(columns[1]))
    body = "".join(
        f'<td style="{_COLUMN}">{_pre(_JUMP.join(parts) or _SAME, f"{change.name}, {when}")}</td>'
        for when, parts in (("before", left), ("after", right))
    )
    return f'{_head(change, head)}<table style="table-layout: fixed; width: 100%; margin: 0"><tr>{body}</tr></table>'


def _head(change: Change, head: str) -> str:
    places = [f"{sign} {_place(code)}" for sign, code in (("−", change.before), ("+", change.after)) if code]
    return f"<p>{'<br>'.join([head, *places])}</p>"


_COLUMN = "text-align: left; vertical-align: top; padding: 0 2px"
_JUMP = "⋯\n"
_SAME = "no line is different\n"


class _Side(NamedTuple):
    """One side of a diff, ready to be shown."""

    first: int
    width: int
    html: list[str]

    def number(self, place: int | None) -> list[str]:
        """The number in the file, as wide as all of them; a side without lines has no column."""
        if not self.width:
            return []
        return [f"{'' if place is None else self.first + place:>{self.width}}"]


def _side(code: Code | None) -> _Side:
    if code is None or not code.lines:
        return _Side(0, 0, [])
    return _Side(code.first, len(str(code.first + len(code.lines))), _highlighted(code.lines))


def _place(code: Code) -> str:
    file = code.file if code.file == CELL else f"<code>{escape(code.file)}</code>"
    return file + escape(code.place.removeprefix(code.file))


# What is known of a patch


def patch_rows(patch: Patch) -> list[tuple[str, tuple[str, ...]]]:
    """What a reader wants to know of a patch besides its title: label and values."""
    rows = [
        ("files", patch.files),
        ("overrides", patch.overrides),
        ("adds", patch.adds),
        ("needs", tuple(f"patch {number}" for number in patch.needs)),
        ("Message-Id", (patch.message_id,) if patch.message_id else ()),
    ]
    return [(label, values) for label, values in rows if values]


def patch_text(patch: Patch) -> str:
    """A patch for a terminal."""
    lines = [_title(patch.layer), *(f"  {line}".rstrip() for line in patch.summary.splitlines()), ""]
    for label, values in patch_rows(patch):
        listed = textwrap.wrap(", ".join(values), 100, break_long_words=False, break_on_hyphens=False)
        lines += [f"  {name:<10}  {line}" for name, line in zip_longest([label], listed, fillvalue="")]
    return "\n".join(lines)


def patch_html(patch: Patch) -> str:
    """A patch for a notebook."""
    rows = []
    for label, values in patch_rows(patch):
        shown = ", ".join(value if label == "needs" else f"<code>{escape(value)}</code>" for value in values)
        if label == "Message-Id":
            shown = f'<a href="https://lore.kernel.org/all/{escape(patch.message_id)}/">{shown}</a>'
        rows.append((label, shown))
    body = "".join(f'<tr><th scope="row"{_LABEL}>{label}</th><td{_LEFT}>{shown}</td></tr>' for label, shown in rows)
    paragraphs = "".join(f"<p>{_marked_up(part)}</p>" for part in patch.summary.split("\n\n") if part)
    return f"<div><p><b>{escape(_title(patch.layer))}</b></p>{paragraphs}<table{_AT_LEFT}>{body}</table>{_HINT}</div>"


def series_html(series: Series) -> str:
    """A kernel for a notebook: its patches, and what else is in it."""
    patches = {patch.layer: patch for patch in series}
    rows = [_patch_cells(patches[layer]) if layer in patches else _layer_cells(layer) for layer in series.layers]
    head = "".join(f'<th scope="col"{_LEFT}>{name}</th>' for name in ("patch", "title", "what it does", "needs"))
    body = "".join("<tr>" + "".join(f"<td{_LEFT}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    if not rows:
        return f"<div><code>{escape(repr(series))}</code>: the kernel before the series</div>"
    table = f"<table{_AT_LEFT}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div><code>{escape(repr(series))}</code>{table}</div>"


_LEFT = ' style="text-align: left; vertical-align: top"'
_LABEL = ' style="text-align: left; vertical-align: top; white-space: nowrap"'
_AT_LEFT = ' style="margin-left: 0"'
_HINT = "<p>Its code: <code>.source()</code>. What it changes, function by function: <code>.diff()</code>.</p>"


def _patch_cells(patch: Patch) -> tuple[str, ...]:
    needs = ", ".join(map(str, patch.needs))
    return str(patch.number), escape(patch.title), _marked_up(_first_paragraph(patch.summary)), needs


def _layer_cells(layer: type[Layer]) -> tuple[str, ...]:
    needs = ", ".join(map(str, layer.needs))
    said = _marked_up(_first_paragraph(summary_of(layer)))
    return "", f"<code>{escape(layer.__name__)}</code>", said, needs


def _first_paragraph(text: str) -> str:
    return text.split("\n\n", 1)[0]
