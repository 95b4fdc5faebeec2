"""What was typed into a notebook is read by `check` as the grader reads it."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

import lazydestroy as ld
from lazydestroy.exercises import typed
from lazydestroy.exercises.patches import p03
from lazydestroy.grading import allowed
from lazydestroy.grading.handed_in import Cell, needed
from tests import submissions

RIGHT = submissions.text_of(p03.ModelAnswer)
LAST = "super().do_secure_storage_violation(kvm, gaddr)"

ABOVE = """
import time

LIMIT = 3

def helps(x: int) -> int:
    return LIMIT + x

def asks_the_clock():
    return time.time()
"""

PLAIN = """
from __future__ import annotations
from typing import TYPE_CHECKING, Any, Optional
if TYPE_CHECKING:
    from lazydestroy.kernel import Kernel
"""

CASES = [
    (RIGHT, ""),
    ("import time\nimport logging\n" + RIGHT, ""),  # nothing of it is used
    (PLAIN + RIGHT.replace("(self, kvm, gaddr):", "(self: Kernel, kvm: Any, gaddr: Optional[int]) -> None:"), ""),
    (RIGHT.replace(LAST, "self.machine.warn('secure storage violation')"), ""),
    (RIGHT.replace(LAST, "print(helps(1))"), ""),
    (RIGHT + "\nfeedback = patch.check(MyPatch)\nfeedback", ""),
    ("import time\n" + RIGHT.replace(LAST, "time.sleep(0)"), "imports time"),
    ("import logging\n" + RIGHT.replace(LAST, "logging.warning(1)"), "imports logging"),
    (RIGHT.replace(LAST, "asks_the_clock()"), "imports time"),
    ("from typing import get_type_hints\n" + RIGHT.replace(LAST, "get_type_hints(kvm)"), "imports get_type_hints"),
    (RIGHT.replace(LAST, "ld.series.v1"), "uses .series"),
    (RIGHT.replace(LAST, "open('x')"), "uses open"),
]


@pytest.fixture(scope="module")
def shell():
    shell = InteractiveShell()
    shell.run_cell("import lazydestroy as ld\npatch = ld.exercise('patch-3')").raise_error()
    shell.run_cell(ABOVE).raise_error()
    return shell


@pytest.mark.parametrize(("text", "why"), CASES)
def test_the_notebook_and_the_grader_refuse_the_same_in_the_same_words(shell, text, why):
    shell.run_cell(text.replace("feedback = patch.check(MyPatch)\nfeedback", "")).raise_error()
    typed_in = shell.user_ns["MyPatch"]
    above = Cell("", "import lazydestroy as ld"), Cell("", ABOVE)
    graded = allowed.refusal(needed((*above, Cell("patch-3", text)), "patch-3"), p03.EXERCISE)
    noticed = typed.refusal(typed_in, p03.EXERCISE)
    assert noticed == graded
    assert (why in graded) if why else not graded


def test_check_says_it_and_is_not_green(shell):
    shell.run_cell("import time\n" + RIGHT.replace(LAST, "time.sleep(0)")).raise_error()
    feedback = ld.exercise("patch-3").check(shell.user_ns["MyPatch"])
    assert not feedback.right and "imports time" in feedback.text and feedback.hints


def test_what_is_right_stays_right(shell):
    shell.run_cell(RIGHT).raise_error()
    assert ld.exercise("patch-3").check(shell.user_ns["MyPatch"]).right


def test_a_class_from_a_file_is_not_read():
    assert typed.refusal(p03.ModelAnswer, p03.EXERCISE) == ""
