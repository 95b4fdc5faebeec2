"""What comes of an action in a state: looked up, if it was learned; else a machine runs it, and it is learned."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from typing import Any

from ..layers import Series
from .bounds import Bounds
from .learned import Learned, NotAsLearned
from .picture import Pictures
from .state import Picture
from .story import Action
from .world import Said, World, errors_as_findings

Followed = tuple[Picture, Hashable, "tuple[Action, ...]", World | None]
"""Where an action leads: the picture, its key, all moves that were made, and a machine in that state if one ran."""

WorldAt = Callable[[list[Action]], World]
"""Gives a machine that is in the state that is looked at, some moves later."""


class Following:
    """Follows actions from one state to the next, for a search or for a worker of one.

    Attributes
    ----------
    kernel : Series
    bounds : Bounds
    learn : bool
        Look up what a step does, if it was learned. False: run each.
    pictures : Pictures
    learned : Learned
    done : int
        Actions that had to be run on a machine, at least in part.
    moves, worlds : int
        Steps that machines have done, those that led to a state once more among them; machines that were made.
    """

    kernel: Series
    bounds: Bounds
    learn: bool
    pictures: Pictures
    learned: Learned
    done: int
    moves: int
    worlds: int

    def _follow(
        self, picture: Picture, action: Action, seen: Container[Hashable], world_at: WorldAt
    ) -> Followed | None:
        """Do an action, and what cannot be disturbed after it. None: it breaks.

        `seen` are keys of states that were seen: nothing is wrong with them, and something else can happen there.
        """
        moves: list[Action] = []
        world: World | None = None
        sure = False
        move: Action | None = action
        key: Hashable = None
        known = False
        while move is not None:
            after = self.learned.after(picture, move) if self.learn else None
            if after is not None:
                key = after.key
                known = key in seen
            # of all that were seen it has been asked whether anything is wrong with them
            if after is not None and (known or not self.pictures.found(after, key)):
                if world is not None:
                    self._do(world, [move])
                    sure = False
            else:
                if world is None:
                    world = world_at(moves)
                    self.done += 1
                if not sure and self.learn and (world.wrong or world.picture() != picture):
                    raise NotAsLearned
                ran, sure = self._run(world, picture, move), True
                if ran is None:
                    return None
                if after is not None:
                    raise NotAsLearned
                after, key = ran, ran.key
                known = key in seen
            moves.append(move)
            picture, move = after, None if known else self.pictures.undisturbed(after)
        return picture, key, tuple(moves), world

    def _world(self) -> World:
        self.worlds += 1
        return World(self.kernel, self.bounds, self.pictures)

    def _do(self, world: World, moves: list[Action]) -> None:
        """Let a machine do what is known."""
        self.moves += len(moves)
        with errors_as_findings(world):
            for move in moves:
                world.do(move)

    def _run(self, world: World, picture: Picture, move: Action) -> Picture | None:
        """Let a machine do a move, and learn from it. None: it breaks."""
        slots = world.slots
        said: Said = ()
        noted: dict[Any, tuple[int, int]] = {}
        self.moves += 1
        with errors_as_findings(world):
            said = world.do(move, noted if self.learn else None)
        after = world.picture()
        world.look(after, said)
        if world.wrong:
            return None
        if self.learn:
            self.learned.learn(picture, move, after, noted, (slots, world.slots), said, len(world.machine._log))
        return after


__all__ = ["Followed", "Following", "WorldAt"]
