"""The two toys, and the steps in which a reader writes them: one method a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..units import shown
from .hosts import ModelHostSide, ToyHostSide
from .played import Side, Truth
from .readymade import ReadyHost, ReadyUltravisor
from .ultravisors import ModelSide, ToySide


@dataclass(frozen=True, slots=True)
class Step:
    """A method that the reader writes.

    Attributes
    ----------
    name : str
    takes : tuple of str
        Its parameters after ``self``.
    task : str
        What it does, in a sentence or two.
    verbs : mapping of str to int
        Operations with which it is checked, and how often each is drawn.
    """

    name: str
    takes: tuple[str, ...]
    task: str
    verbs: Mapping[str, int]

    @property
    def call(self) -> str:
        """The method with its parameters."""
        return f"{self.name}({', '.join(('self', *self.takes))})"


@dataclass(frozen=True, slots=True)
class Kind:
    """A toy.

    Attributes
    ----------
    name : str
    what : str
        What a sentence calls it.
    class_name : str
        What the lessons call the reader's class.
    ready : type
        The ready-made one.
    steps : tuple of Step
        In the order in which the lessons take them.
    lessons : tuple of tuple of str
        Names of the steps, lesson by lesson.
    state : mapping of str to type
        Attributes that ``__init__`` makes, and what they must be.
    """

    name: str
    what: str
    class_name: str
    ready: type
    steps: tuple[Step, ...]
    lessons: tuple[tuple[str, ...], ...]
    state: Mapping[str, type]
    toy_side: Callable[[type, type], Side]
    model_side: Callable[[], Truth]

    @property
    def file(self) -> str:
        """Where the reader's class is kept, in the working folder."""
        return f"my_{self.name}.py"

    def step(self, name: str) -> Step:
        """The step that writes a method."""
        return next(step for step in self.steps if step.name == name)


ULTRAVISOR = Kind(
    name="ultravisor",
    what="Ultravisor",
    class_name="MyUltravisor",
    ready=ReadyUltravisor,
    steps=(
        Step(
            "import_page",
            ("guest", "page"),
            "Give the page to the guest, or refuse. Return whether it's done: if it is, the guest owns the page.",
            {"import_page": 1},
        ),
        Step(
            "export_page",
            ("page",),
            "The host may take any page at any time, so return True. Afterwards your books know nothing of the page.",
            {"import_page": 3, "export_page": 2},
        ),
        Step(
            "share_page",
            ("guest", "page"),
            "A guest may open a page of its own to the host, and no other. Return whether it's done. The owner stays.",
            {"import_page": 4, "share_page": 4, "export_page": 2},
        ),
        Step(
            "destroy_page",
            ("page",),
            "Rule 1 decides whether it's done; return that. A destroyed page belongs to no guest, and of a page that "
            "isn't destroyed nothing changes.",
            {"import_page": 4, "export_page": 1, "share_page": 1, "destroy_page": 4, "stop": 1},
        ),
        Step(
            "touch",
            ("who", "page"),
            "Return the exception that the hardware raises: 0x3D, 0x3E or 0x3F; None if the access gets through. who "
            "is None for the host and for a normal guest.",
            {"import_page": 4, "share_page": 2, "touch": 8, "export_page": 1, "stop": 1},
        ),
    ),
    lessons=(("import_page", "export_page", "share_page", "destroy_page"), ("touch",)),
    state={"owner": dict, "shared": set, "running": set},
    toy_side=lambda toy, _: ToySide(toy),
    model_side=ModelSide,
)

_LIFE = {"touch": 6, "protect": 4, "reboot": 3}

HOST = Kind(
    name="host",
    what="host",
    class_name="MyHost",
    ready=ReadyHost,
    steps=(
        Step(
            "on_3d",
            ("page",),
            "A normal guest wants a page that still belongs to an old one: make it usable, without giving away what is "
            "in it, and return True, so that the access is tried again.",
            _LIFE,
        ),
        Step(
            "on_3f",
            ("guest", "page"),
            "The page belongs to another guest: see that it belongs to none, and return True, so that the access is "
            "tried again.",
            {**_LIFE, "late": 3},
        ),
        Step(
            "on_3e",
            ("guest", "page"),
            "Import the page and return what the Ultravisor says. It must not refuse because an old guest had shared "
            "the page; and while there is only one guest in the books, make no needless call.",
            {**_LIFE, "share": 5, "late": 1},
        ),
        Step(
            "clean_up",
            ("old", "pages"),
            "At its end no page belongs to the old guest, and self.guests doesn't have it any more. After each page, "
            "let others act.",
            {**_LIFE, "clean_up": 8, "share": 1},
        ),
    ),
    lessons=(("on_3d", "on_3f", "on_3e"), ("clean_up",)),
    state={"guests": list},
    toy_side=ToyHostSide,
    model_side=ModelHostSide,
)

KINDS = (ULTRAVISOR, HOST)


def kind_named(name: Any) -> Kind:
    """The toy of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    known = {kind.name: kind for kind in KINDS}
    written = str.__str__(name) if isinstance(name, str) else ""
    if written not in known:
        raise ValueError(f"name={shown(name)}: use 'ultravisor' or 'host'")
    return known[written]


def kind_of(toy: Any) -> Kind:
    """Which of the toys a class is, by the methods that it has.

    Raises
    ------
    ValueError
        If it is no class, or has a method of neither.
    """
    if not isinstance(toy, type):
        raise ValueError(f"toy={shown(toy)}: give the class itself, such as MyUltravisor, without brackets behind it")
    for kind in KINDS:
        if any(hasattr(toy, step.name) for step in kind.steps):
            return kind
    names = ", ".join(step.name for kind in KINDS for step in kind.steps)
    raise ValueError(f"toy={toy.__name__}: it has none of the methods of a toy; write one of {names}")


__all__ = ["HOST", "KINDS", "ULTRAVISOR", "Kind", "Step", "kind_named", "kind_of"]
