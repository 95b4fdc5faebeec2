"""A machine of a few pages on which anything may happen, one step at a time.

The kernel that runs here is the kernel that runs everywhere else: a `World` steps its tasks from one waiting point to
the next, in whatever order it is told. What may happen, and what must hold, `lazydestroy.series.picture` says.
`lazydestroy.series.check` tries all orders.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..actors import HELPER, QEMU, QEMU_EXITS, VCPU
from ..costs import Costs
from ..layers import Series
from ..ours import is_answer, is_ours
from ..page import PAGE_SHIFT, PAGE_SIZE, Holder
from .bounds import Bounds
from .failures import failure_of
from .picture import Pictures
from .plain import a_part
from .program import SearchedMachine
from .state import Picture
from .story import ENDING, Action, Role, Story, failure_in
from .watch import watching

if TYPE_CHECKING:
    from .._core import Task
    from ..kernel.structs import Flow

Listener = Callable[[str], object]
"""What is called with the name of who has acted."""

Said = tuple[tuple[str, str], ...]
"""What a log would tell of trouble: kinds and texts of events."""

_COSTS = Costs()


@a_part
class World:
    """A machine of a few pages, and what can happen to it.

    Parameters
    ----------
    kernel : Series
    bounds : Bounds
    pictures : Pictures, optional
        Takes the pictures, if you compare several worlds.

    Attributes
    ----------
    machine : Machine
    wrong : str
        What no longer holds; empty as long as all does.
    line : str
        Where Python raised an error in a layer that is not ours: that line of code.
    """

    def __init__(self, kernel: Series, bounds: Bounds, pictures: Pictures | None = None) -> None:
        self.bounds = bounds
        self.machine = SearchedMachine(kernel=kernel, costs=_COSTS, tabled=False, windows=False, **machine_of(bounds))
        self.story = Story()
        self.roles: dict[int, Role] = {}
        self.heard = 0
        self.wrong = self.line = ""
        self.machine._log = _Calls()
        sets_aside = self.machine.qemu.sets_aside
        self.pictures = pictures or Pictures(bounds, self._kernel_pages(), sets_aside)
        self.program = "userspace" if self.pictures.any_order else QEMU
        self.machine.boot()
        if bounds.helper:
            self.machine.qemu.start_helper()

    def _kernel_pages(self) -> int:
        """Pages that the kernel has taken for its own ends or to donate them."""
        return sum(pages for record, pages in self.machine.memory.records().items() if record.holder == Holder.DONATED)

    def picture(self) -> Picture:
        """What there is at this moment, as plain data."""
        return self.pictures.take(self.machine, self.story, self.roles)

    def actions(self) -> list[Action]:
        """All that can happen next."""
        return self.pictures.actions(self.picture())

    def act(self, action: Action, listener: Listener | None = None) -> Picture | None:
        """Let something happen, and see whether all still holds. What cannot be disturbed runs on to its end.

        `listener` is called after each step, with the name of who did it. Returns the picture that
        there is then; None if something was wrong before.
        """
        following: Action | None = action
        picture = None
        while following is not None and not self.wrong:
            actor = self._actor(following)
            said = self.do(following)
            picture = self.picture()
            self.look(picture, said)
            if listener is not None:
                listener(actor)
            following = self.pictures.undisturbed(picture)
        return picture

    def _actor(self, action: Action) -> str:
        """The name of who acts."""
        if action[0] == "step":
            return self.machine.engine.tasks[action[1]].name.replace(QEMU, self.program)
        if action[0] == "touch":
            return self._vcpu()
        if action[0] == "exit":
            return QEMU_EXITS.replace(QEMU, self.program)
        return _ACTORS.get(action[0], self.program)

    def _vcpu(self) -> str:
        return f"{VCPU} {sum(role == 'vCPU' for role, _ in self.roles.values())}"

    def do(self, action: Action, noting: dict[Any, tuple[int, int]] | None = None) -> Said:
        """Let one thing happen, and no more: one step, or what begins something. Returns what was logged of it.

        What the kernel's code looks at meanwhile is added to `noting` (see `lazydestroy.series.watch`).
        """
        machine = self.machine
        machine._log.clear()
        if noting is None:
            self._let_happen(action)
        else:
            with watching(machine) as noted:
                self._let_happen(action)
            noting.update(noted)
        ends = action[0] == "step" and self.roles.get(action[1], ("",))[0] in ENDING
        late = len(machine._log) if self.story.late and ends else 0
        ended = [index for index in self.roles if not machine.engine.tasks[index].alive]
        if ended or late or action[0] != "step":
            handle = machine.kvm.pv.handle if machine.guest_up else 0
            self.story = self.story.after(action, [self.roles.pop(index) for index in ended], handle, late)
        events = machine.events[self.heard :]
        self.heard += len(events)
        return tuple((event.kind, event.text) for event in events if event.kind not in _ORDINARY)

    def _let_happen(self, action: Action) -> None:
        name, *about = action
        if failure := failure_in(action):
            failure_of(failure).tell(self.machine)
            about.pop()
        getattr(self, f"_{name.replace(' ', '_')}")(*about)

    def look(self, picture: Picture, said: Said) -> None:
        """See whether all still holds."""
        self.wrong = trouble(said, self.story.failed) or self.wrong or self.pictures.found(picture)

    @property
    def slots(self) -> list[int]:
        """The frames that the guest's table leads to, present or not."""
        return [self.machine.mm.guest.slot(page) for page in range(self.bounds.pages)]

    # What can happen

    def _begin(self, flow: Flow, name: str, role: Role) -> Task:
        """Start a task; it has not done anything yet."""
        task = self.machine.engine.spawn(flow, name, self.machine.now)
        self.roles[task.index] = role
        return task

    def _step(self, index: int) -> None:
        self.machine.engine.step(self.machine.engine.tasks[index])

    def _touch(self, page: int) -> None:
        machine = self.machine
        self._begin(machine._visiting(page), self._vcpu(), ("vCPU", page))
        task = machine.engine.tasks[-1]
        unwatched = vars(machine.qemu)  # that is no look at them by the kernel
        unwatched["vcpu_tasks"] = [*unwatched["vcpu_tasks"], task]
        machine.engine.step(task)
        machine.engine.step(task)

    def _share(self, page: int) -> None:
        self.machine.share(page)

    def _let_program(self, flow: Flow, role: str) -> None:
        """The program's main thread does something, while the guest does not run."""
        self.machine.qemu.stop_vcpus()
        self.machine.qemu.main = self._begin(flow, self.program, (role, -1))

    def _protect(self) -> None:
        machine = self.machine
        may_fail = bool(machine.uv.faults or machine._injected.get("donated storage"))
        self._let_program(self._protecting(may_fail), "protect")

    def _protecting(self, may_fail: bool) -> Flow:
        if not (yield from self.machine.qemu.protects(may_fail)):
            self.wrong = self.wrong or "the guest cannot go protected"

    def _reset(self) -> None:
        self._let_program(self.machine.qemu.resets(), "reset")

    def _prepare(self) -> None:
        self._let_program(self._asking(self.machine.qemu.preparing()), "prepare")

    def _disable(self) -> None:
        self._let_program(self._asking(self.machine.qemu.resetting()), "disable")

    def _perform(self) -> None:
        self.machine.qemu.start_perform()

    def _close(self) -> None:
        self.machine.guest_up = False
        self._let_program(self._asking(self.machine.qemu.closing()), "close")

    def _asking(self, flow: Flow) -> Flow:
        """One ioctl, whatever it answers."""
        yield from self.machine.qemu.asking(flow)

    def _kill(self, index: int) -> None:
        self.machine.qemu.kill_thread(self.machine.engine.tasks[index])

    def _kill_QEMU(self) -> None:
        self.machine.qemu.kill()

    def _helper(self) -> None:
        self.machine.qemu.helper_follows = False
        self.machine.engine.spawn(self.machine.qemu.helper_exiting(), HELPER, self.machine.now)

    def _exit(self) -> None:
        self.machine.kill()

    def _io(self, page: int) -> None:
        self._begin(self._transferring(page), "host", ("I/O", page))
        self._step(len(self.machine.engine.tasks) - 1)

    def _transferring(self, page: int) -> Flow:
        """I/O holds the page from its beginning to its end, and the device uses it all the time."""
        machine = self.machine
        frame = machine._frame(page)
        machine.kernel.get_page(frame)
        if machine.kernel.arch_make_page_accessible(frame) or machine.uv.access(frame) is not None:
            self.wrong = f"I/O on page {page} fails: it is secure, and the host does not know"
        yield
        if machine.uv.access(frame) is not None:
            self.wrong = f"I/O on page {page} fails: the page has become secure while the device was using it"
        machine.kernel.put_page(frame)

    def _swap(self, page: int) -> None:
        self.machine.kernel.swap_out(self.machine.mm, page << PAGE_SHIFT)


def machine_of(bounds: Bounds) -> dict[str, Any]:
    """What bounds say of the machine, as arguments of `Machine`. Other bounds say what may happen on it."""
    return {
        "guest": bounds.pages * PAGE_SIZE,
        "host_memory": (bounds.pages + 24 + 16 * bounds.configurations) * PAGE_SIZE,
        "vcpus": bounds.vcpus,
        "lazy_destroy": bounds.lazy_destroy,
        "async_destroy": bounds.async_destroy,
        "features": bounds.features,
        "destroy_loop_threshold": 1,
        "list_page_capacity": 1,
        "low_memory": bounds.low_pages * PAGE_SIZE,
        "segment_table": bounds.segment_table,
        "ultravisor": {
            "destroy_needs_no_cpus": bounds.destroy_needs_no_cpus,
            **({"calls": ("DESTROY_SEC_CONF_FAST",)} if bounds.fast else {}),
        },
    }


_ACTORS = {"share": "guest", "io": "host", "swap": "host", "helper": HELPER}
"""Who acts, if it is neither a task that is there, nor a vCPU, nor the program."""


_ORDINARY = ("userspace", "leak")
"""Kinds of events that are no trouble in themselves. What is leaked is counted at the end."""

_GRAVITY = (
    "signal",
    "addressing exception",
    "bug",
    "use after free",
    "endless fault",
    "refused",
    "oom",
    "leak",
    "warning",
)
"""Of all that is logged at once, the first of these is told."""


def trouble(said: Said, failed: tuple[str, ...]) -> str:
    """The worst of what was logged, in words; empty if all of it was to be expected once these were told to fail."""
    excuses = [kind for name in failed for kind in failure_of(name).excuses]
    told = [(kind, text) for kind, text in said if kind not in excuses]
    return _in_words(*min(told, key=lambda event: _GRAVITY.index(event[0]))) if told else ""


def _in_words(kind: str, text: str) -> str:
    if kind == "signal":
        return f"the process is killed: {text}"
    if "no handle provided" in text:
        return f"{kind}: {text}: the kernel destroys a configuration that is not there"
    return f"{kind}: {text}"


@contextmanager
def errors_as_findings(world: World) -> Iterator[None]:
    """An error in the kernel's own code, perhaps in a layer that is being written, is a finding."""
    try:
        yield
    except Exception as error:
        name, world.line = raised_in(error)
        world.wrong = f"{name} fails with {type(error).__name__}: {error}"


def raised_in(error: Exception) -> tuple[str, str]:
    """The function of a layer that raised an error, and the line; if it was no layer, the last function and no line."""
    frames = traceback.extract_tb(error.__traceback__)
    layer = next((frame for frame in reversed(frames) if frame.line and not _is_ours(frame)), None)
    return (layer or frames[-1]).name, layer.line or "" if layer else ""


_MANY_CALLS = 1000


class _Calls(list[str]):
    """The log of Ultravisor Calls of one action. There is an end to it, also if a layer has none."""

    def append(self, call: str) -> None:
        if len(self) >= _MANY_CALLS:
            raise RuntimeError(f"{_MANY_CALLS:,} Ultravisor Calls in one step: is that a loop without an end?")
        super().append(call)


def _is_ours(frame: traceback.FrameSummary) -> bool:
    """Whether it is the kernel's or the machine's code. Answers of exercises are others', wherever they are written."""
    name = frame.filename
    return not name.endswith((".py", ">")) or (is_ours(name) and not is_answer(name))


__all__ = ["Listener", "Said", "World", "errors_as_findings", "machine_of", "raised_in", "trouble"]
