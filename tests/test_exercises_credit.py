"""What an answer is worth that is not right yet."""

import pytest

from lazydestroy.exercises import Feedback
from lazydestroy.exercises.credit import breaks_when_idle, held_when_idle
from lazydestroy.exercises.patches import PATCHES, p04, p06
from lazydestroy.layers import Layer


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


def test_who_fails_in_the_decisive_case_gets_less_than_half():
    """Patch 6 is about a count that goes down late, patch 4 about a page that may have gone."""

    def down_in_any_case(self, mm, cc):
        mm.context.is_protected -= 1

    class WithoutALook(Layer):
        def do_secure_storage_access_gmap(self, kvm, gaddr):
            self.arch_make_page_accessible(self.gmap_page(kvm.gmap, gaddr))

    assert worth(configuration_destroyed=down_in_any_case) == 4.17
    assert p04.EXERCISE.check(WithoutALook).points(10) == 4.17


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_what_is_decisive_is_an_experiment(patch):
    assert set(patch.decisive) <= set(patch.probes)
    assert patch.decisive or len(patch.probes) == 1


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
