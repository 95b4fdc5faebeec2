"""A reader's code is a reader's, also in a folder whose name begins like the package's."""

import linecache
import os

import pytest

import lazydestroy as ld
from lazydestroy.ours import PACKAGE, is_answer, is_ours
from lazydestroy.toy.guard import Endless, Stopped, called

COURSE = f"{PACKAGE.removesuffix(os.sep)}-course{os.sep}layer.py"
"""Where `lazydestroy lab` puts the notebooks, if it is called in the folder that has the package."""

CODE = """
class Mine:
    def arch_make_page_accessible(self, page):
        return self.no_such_function(page)


def divides():
    return 1 / 0


def goes_on():
    while True:
        pass
"""


@pytest.fixture
def theirs(monkeypatch):
    """What a file there defines."""
    monkeypatch.setitem(linecache.cache, COURSE, (len(CODE), None, CODE.splitlines(keepends=True), COURSE))
    names = {"__name__": "layer"}
    exec(compile(CODE, COURSE, "exec"), names)
    return names


def test_only_what_is_in_the_package_is_ours():
    assert is_ours(ld.__file__) and not is_ours(COURSE) and not is_ours(PACKAGE.removesuffix(os.sep))
    assert is_answer(f"{PACKAGE}exercises{os.sep}patches{os.sep}p03.py")
    assert not is_answer(f"{PACKAGE}exercises{os.sep}patches-of-mine.py")


def test_the_search_names_the_line_of_a_layer_in_such_a_folder(theirs):
    verdict = ld.series.check(ld.series.v1.upto(0).plus(theirs["Mine"]), pages=1, failures=(), host=("io",))
    assert verdict.trace.line == "return self.no_such_function(page)"


def test_what_a_toy_does_in_such_a_folder_is_stopped_and_told(theirs):
    with pytest.raises(Stopped, match='ZeroDivisionError.* in the line "return 1 / 0"'):
        called(theirs["divides"])
    with pytest.raises(Stopped, match="does not come to an end") as stopped:
        called(theirs["goes_on"])
    assert stopped.value.error is Endless
