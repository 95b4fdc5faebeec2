"""Long work shows a bar in a notebook, and none of it is left when the work is done."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import IPython.display
import nbformat
import pytest

import lazydestroy as ld
from lazydestroy import waiting
from tests.refresh_notebooks import normalised


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook shows, and a clock that the test moves."""
    shown, clock = [], SimpleNamespace(now=0.0)

    def display(bundle, raw, display_id):
        shown.append(bundle["text/html"])
        return SimpleNamespace(update=lambda bundle, raw: shown.append(bundle["text/html"]))

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(waiting.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace(kernel=None))
    return SimpleNamespace(shown=shown, clock=clock)


def test_a_bar_comes_late_keeps_its_pace_and_is_gone_at_the_end(notebook):
    with waiting.bar("states") as show:
        for moment, count in ((0.1, 0), (0.69, 0), (0.71, 1), (0.8, 1), (1.0, 2)):
            notebook.clock.now = moment
            show(1234, 5678)
            assert len(notebook.shown) == count
    drawn, _, words = notebook.shown[0].partition("</progress> ")
    assert drawn == '<progress max="5678" value="1234">'
    assert words == "1,234 of the 5,678 states so far are done"
    assert notebook.shown[2:] == [""]


def test_it_is_gone_after_an_interrupt(notebook):
    with pytest.raises(KeyboardInterrupt), waiting.bar("states") as show:
        notebook.clock.now = 1
        show(1, 2)
        raise KeyboardInterrupt
    assert notebook.shown[1:] == [""]


def test_quick_work_shows_none_and_neither_does_work_that_wants_none(notebook):
    with waiting.bar("states") as show:
        show(1, 2)
    with waiting.bar("states", wanted=False) as show:
        notebook.clock.now = 9
        show(1, 2)
    assert notebook.shown == []


def test_a_search_shows_how_much_of_what_it_has_met_it_has_tried(notebook, monkeypatch):
    monkeypatch.setattr(waiting, "PATIENCE", 0)
    monkeypatch.setattr(waiting, "PACE", 0)
    given = {"failures": (), "max_states": 20}
    assert ld.series.check(ld.series.v1.upto(0), progress=lambda states: None, **given).states >= 20
    assert notebook.shown == []
    ld.series.check(ld.series.v1.upto(0), **{**given, "max_states": 21})  # the same again is answered at once
    counts = [tuple(map(int, re.findall(r'max="(\d+)" value="(\d+)"', each)[0])) for each in notebook.shown[:-1]]
    assert all(0 <= done <= known for known, done in counts) and counts[-1][0] >= 20
    assert notebook.shown[-1] == ""


def test_outside_a_notebook_there_is_none(monkeypatch):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    assert not waiting.in_a_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not waiting.in_a_notebook()


def test_what_shows_nothing_is_not_committed():
    """A bar that is gone is still an output, with nothing in it."""
    outputs = [
        nbformat.v4.new_output("display_data", data=data)
        for data in ({"text/html": "", "text/plain": ""}, {"text/html": "<b>x</b>", "text/plain": ""})
    ]
    first, last = (nbformat.v4.new_output("stream", text=text) for text in ("printed before", " and after"))
    cell = nbformat.v4.new_code_cell("x", outputs=[outputs[1], first, outputs[0], last])
    shown, printed = normalised(nbformat.v4.new_notebook(cells=[cell])).cells[0].outputs
    assert shown.data["text/html"] == "<b>x</b>" and printed.text == "printed before and after"
