"""What an answer is worth that is not right yet."""

import pytest

from lazydestroy.exercises import Feedback
from lazydestroy.exercises.credit import breaks_when_idle, held_when_idle
from lazydestroy.exercises.patches import PATCHES, p06


def worth(**functions):
    """The points for the model answer to patch 6 with some of its functions replaced."""
    return p06.EXERCISE.check(type("MyPatch", (p06.ModelAnswer,), functions)).points(10)


def test_three_of_four_functions_are_worth_something_and_less_than_four():
    def does_nothing(self, mm, *_):
        return

    def clears(self, mm, cc):
        if not cc:
            mm.context.is_protected = 0

    assert worth() == 10
    assert worth(configuration_refused=does_nothing) == 8.33  # safe, and two experiments of three
    assert worth(configuration_destroyed=clears) == 3.33  # not safe, and two of three


def test_doing_nothing_is_worth_nothing():
    def does_nothing(self, mm, *_):
        return

    assert worth(**dict.fromkeys(p06.EXERCISE.writes, does_nothing)) == 0


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_each_exercise_can_tell_something_from_nothing(patch):
    held = held_when_idle(patch)
    assert len(held) == len(patch.probes)
    assert not all(held) or breaks_when_idle(patch)


def test_points_are_a_share_and_all_of_them_if_it_is_right():
    assert Feedback("it", True, "").points(7) == 7
    assert Feedback("it", False, "", share=0.5).points(7) == 3.5
    assert Feedback("it", False, "").points(7) == 0
