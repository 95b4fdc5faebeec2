"""What can happen next on a small machine: read from a picture of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..page import Holder, Record, State
from .bounds import Bounds
from .failures import Failure, failure_of
from .state import FLAGS, PAGES, PROCESS, VM, Flags, Picture, Process, Standing, Vm
from .story import BUSY, ENDING, PERFORM, Action, Story


class Possible:
    """The actions that a picture allows, within bounds."""

    bounds: Bounds
    sets_aside: bool
    any_order: bool
    things: list[Any]

    def records(self, picture: Picture) -> list[Record | None]:
        """The records of the guest's pages; None for one that is not present."""
        return [None if page < 0 else self.things[page] for page in picture.cells[PAGES:]]

    def actions(self, picture: Picture) -> list[Action]:
        """All that can happen next."""
        things, bounds = self.things, self.bounds
        vm: Vm = things[picture.cells[VM]]
        flags: Flags = things[picture.cells[FLAGS]]
        tasks: list[Standing] = [things[number] for number in picture.tasks]
        found: list[Action] = [
            ("step", index) for index, task in zip(picture.indices, tasks, strict=True) if not task.asleep
        ]
        roles = [task.role[0] for task in tasks]
        process: Process = things[picture.cells[PROCESS]]
        story = picture.story
        if self.any_order:
            found += [
                ("kill", index)
                for index, task in zip(picture.indices, tasks, strict=True)
                if task.role == PERFORM and not task.killed
            ]
        if not flags.guest_up or any(role in BUSY for role in roles):
            if bounds.patience is not None and process.in_kernel and not process.doomed and set(roles) & set(ENDING):
                found.append(("kill QEMU",))
            if self._has_closed(flags) and not any(role in BUSY for role in roles):
                found.append(("exit",))
            return found
        records = self.records(picture)
        present = [page for page, record in enumerate(records) if record is not None and record.holder == Holder.MAPPED]
        possible: list[Action] = []
        # a vCPU that has lost its secure CPU, while there is a configuration, must not run
        if roles.count("vCPU") < bounds.vcpus and not (vm.handle and not vm.running):
            possible += [("touch", page) for page in range(bounds.pages)]
        if vm.running and bounds.sharing:
            possible += [("share", page) for page in present if _is(records[page], State.SECURE, vm.running)]
        if self.any_order:
            possible += self._commands(vm, story, roles.count(PERFORM[0]))
        elif vm.running and story.resets < bounds.resets:
            possible.append(("reset",))
        loaded = 0 in present and _is(records[0], State.NON_SECURE)
        if not vm.handle and story.configurations < bounds.configurations and (loaded or not bounds.image_loaded):
            possible.append(("protect",))
        possible.append(("exit",))
        if process.helper and process.helper_follows:
            possible.append(("helper",))
        if "io" in bounds.host and "I/O" not in roles:
            possible += [("io", page) for page in present if not _is(records[page], State.NON_SECURE)]
        if "swap" in bounds.host:
            possible += [("swap", page) for page in present if (record := records[page]) and record.refs == 1]
        if len(story.failed) >= bounds.most_failures or not bounds.failures:
            return found + possible
        for action in possible:
            found.append(action)
            found += self._failing(action, vm, flags)
        return found

    def _commands(self, vm: Vm, story: Story, performing: int) -> Iterator[Action]:
        """What a program that is not QEMU may ask for; what the kernel refuses at once in any case is left out."""
        if vm.handle and story.resets < self.bounds.resets:
            yield ("prepare",)
            yield ("disable",)
        if vm.set_aside is not None and performing < self.bounds.resets:
            yield ("perform",)
        yield ("close",)

    @property
    def met(self) -> Bounds:
        """The bounds, without failures that this kernel cannot meet."""
        failures = [name for name in self.bounds.failures if self._meets(failure_of(name))]
        return replace(self.bounds, failures=tuple(failures))

    def _meets(self, failure: Failure) -> bool:
        return failure.concerns(self.sets_aside, self.bounds.fast)

    def _has_closed(self, flags: Flags) -> bool:
        """Whether there may be a program that has closed its VM, and lives on."""
        return self.any_order and flags.alive and not flags.guest_up

    def _failing(self, action: Action, vm: Vm, flags: Flags) -> Iterator[Action]:
        """An action, with something told to fail from then on."""
        for name in self.bounds.failures:
            failure = failure_of(name)
            told = action[0] in failure.at and self._meets(failure)
            if told and (failure.early or vm.handle or flags.old):
                yield (*action, name)

    def undisturbed(self, picture: Picture) -> Action | None:
        """The next step of the task at work, if nothing else can happen; or of one at the mere end of a loop."""
        things, tasks = self.things, picture.tasks
        if len(tasks) == 1:
            task: Standing = things[tasks[0]]
            flags: Flags = things[picture.cells[FLAGS]]
            calm = task.role[0] in BUSY or not (flags.guest_up or self._has_closed(flags))
            if not task.asleep and calm and not self._may_be_killed(picture, task):
                return "step", picture.indices[0]
        for number, index in zip(tasks, picture.indices, strict=True):
            if things[number].at_end:
                return "step", index
        return None

    def _may_be_killed(self, picture: Picture, task: Standing) -> bool:
        """Whether QEMU may be killed while the task that is at work is in an ioctl."""
        return self.bounds.patience is not None and task.role[0] in ENDING and not picture.story.late


def _is(record: Record | None, state: State, owner: int = 0) -> bool:
    return record is not None and record.state == state and (not owner or record.owner == owner)


__all__ = ["Possible"]
