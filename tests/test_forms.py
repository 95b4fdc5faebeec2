"""Where a question is asked, no answer is seen: in every form in which a lesson is read.

As committed, in a viewer that knows only HTML; as nbconvert exports it; in JupyterLab as committed; in JupyterLab after
all cells have run; and in JupyterLab when it is opened again, with the state of its widgets and without.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
from itertools import pairwise

import pytest

from benchmarks.browser import Notebook, server
from lazydestroy.quizzes import prediction_named
from tests.forms import exported, question_alone, raw, visible
from tests.in_browser import MARKS, WITH_WIDGETS, in_jupyterlab, see_questions_alone
from tests.lessons import asked, cells, name_of, with_questions
from tests.refresh_notebooks import ROOT
from tools.lessons import WHY

PICTURE_MAX = 150_000
"""Bytes of a picture in a fold."""

LONG_TO_RUN = "reviewers/how-sure-are-we.ipynb"
"""It computes for most of a minute, once in its own test already; it asks in the same way as the others."""

every_lesson = pytest.mark.parametrize("path", with_questions(), ids=name_of)


def questions(path):
    """Each cell that asks, with what may be seen of it."""
    return [(each, question_alone(what, each.name)) for what in ("predict", "quiz") for each in asked(path, what)]


def test_what_is_folded_is_not_seen():
    assert visible("<p>a</p><details><summary>b <b>c</b></summary>d<img><details>e</details></details>f") == "a b c f"
    assert visible("<details open><summary>a</summary>b</details><style>x</style><img>") == "a b [picture]"
    assert visible("<details><summary>a</summary><details open>b</details></details>") == "a"


@every_lesson
def test_in_a_plain_viewer(path):
    for asking, alone in questions(path):
        assert visible(raw(asking.cell)) == alone


@every_lesson
def test_what_stands_below_a_prediction_does_not_tell_its_outcome(path):
    """It is a fold with the story of the outcome, or a new section."""
    following = {cell.id: after for cell, after in pairwise(cells(path))}
    for asking in asked(path, "predict"):
        below = following[asking.cell.id]
        assert below.cell_type == "markdown", asking.name
        assert below.source.startswith((f"<details><summary>{WHY}</summary>\n\n", "#")), asking.name


@every_lesson
def test_in_the_html_that_nbconvert_exports(path):
    for asking, alone in questions(path):
        assert visible(exported(asking.cell, "basic")) == alone


@every_lesson
def test_pictures_in_folds_are_small_and_have_words(path):
    for asking in asked(path, "predict"):
        for image in re.findall(r"<img [^>]*>", raw(asking.cell)):
            found = re.search(r'src="data:image/png;base64,([\w+/=]+)" alt="([^"]+)"', image)
            assert found and len(base64.b64decode(found[1])) <= PICTURE_MAX


def test_the_usual_template_of_nbconvert_folds_as_well():
    for path in with_questions()[:1]:
        for asking, alone in questions(path):
            assert visible(exported(asking.cell, "lab")) == alone


# In a browser


class TestInJupyterLab:
    pytestmark = MARKS

    @pytest.mark.parametrize("path", [path for path in with_questions() if path not in WITH_WIDGETS], ids=name_of)
    def test_as_committed_and_when_it_has_run(self, path, chrome, address):
        """Those with widgets are opened and run in `test_browser.py`, which looks at this as well."""
        with contextlib.closing(Notebook(chrome, address, str(path.relative_to(ROOT)))) as notebook:
            see_questions_alone(notebook, path, live=False)
            if name_of(path) != LONG_TO_RUN:
                notebook.run_all()
                see_questions_alone(notebook, path, live=True)
            assert notebook.errors() == [] and notebook.complaints == []

    @pytest.mark.parametrize("state", [True, False], ids=["with state", "without"])
    def test_opened_again_after_it_was_saved_with_its_widgets(self, state, chrome, tmp_path):
        """Without their state the text stands in for them; with it the choice works, though their kernel has gone."""
        path = next(path for path in with_questions() if asked(path, "predict"))
        settings = tmp_path / "home/lab/user-settings/@jupyter-widgets/jupyterlab-manager/plugin.jupyterlab-settings"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"saveState": state}))
        (tmp_path / "root").mkdir()
        shutil.copy(path, tmp_path / "root" / "lesson.ipynb")
        with server(tmp_path) as its_address:
            with contextlib.closing(Notebook(chrome, its_address, "lesson.ipynb")) as first:
                first.run_all()
                see_questions_alone(first, path, live=True)
                first.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
            with contextlib.closing(Notebook(chrome, its_address, "lesson.ipynb")) as again:
                see_questions_alone(again, path, live=state)
                if state:
                    self.choose(again, path)

    def choose(self, notebook, path):
        """Make a prediction, and see what happens."""
        asking = asked(path, "predict")[0]
        notebook.page.locator(".lazydestroy-quiz input[type=radio]").first.click()
        said = prediction_named(asking.name).options[0].feedback.partition("{")[0]
        notebook.until(lambda: said in in_jupyterlab(notebook, "predict", 0), said, 10)
        assert notebook.page.locator(".lazydestroy-outcome:visible").count() == 1
