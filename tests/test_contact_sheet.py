"""The contact sheet has every picture of the course, and says what is wrong with one."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from tests.refresh_notebooks import FOLDER
from tools import contact_sheet as tool


def png(width, height):
    """The beginning of a PNG file, which says how large it is."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + b"\x08\x02\x00\x00\x00"
    return base64.b64encode(head + bytes(8)).decode("ascii")


def shown(title="A title", words="A picture.", size=(900, 400)):
    return tool.Shown("course/01.ipynb", "cell", title, words, png(*size))


@pytest.fixture
def root(tmp_path):
    """A repository with one notebook: a picture, one that is folded in a prediction, and a release of an exercise."""
    folded = f'<details><img src="data:image/png;base64,{png(9, 8)}" alt="It&#x27;s. So."></details>'
    outputs = [
        {
            "output_type": "display_data",
            "data": {"image/png": [png(900, 400), "\n"], "text/plain": ["[picture: It waits: 1 s]"]},
            "metadata": {"image/png": {"alt": "Who waits."}},
        },
        {
            "output_type": "execute_result",
            "data": {"text/html": [folded]},
            "metadata": {},
        },
    ]
    text = json.dumps({"cells": [{"id": "wait", "cell_type": "code", "source": [], "outputs": outputs}]})
    for name in ("course/01.ipynb", "exercises/release/copy.ipynb"):
        path = tmp_path / "notebooks" / name
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_pictures_are_found_with_their_titles_and_words(root):
    first, second = tool.pictures(root / "notebooks")
    assert (first.notebook, first.cell) == ("course/01.ipynb", "wait")
    assert (first.title, first.words) == ("It waits: 1 s", "Who waits.")
    assert first.size == (900, 400) and second.size == (9, 8)
    assert (second.title, second.words) == ("", "It's. So.")


def test_what_is_wrong_with_a_picture_is_said():
    assert shown().faults == []
    assert shown("word " * 13).faults == ["its title has 13 words, 12 at most"]
    assert shown("1.5 GiB of 64 GiB " + "word " * 8).faults == []
    assert shown(words="").faults == ["it has no alternative text"]
    assert shown(size=(900, 576)).faults == []
    (fault,) = shown(size=(900, 577)).faults
    assert "1125 × 721 dots" in fault


def test_the_sheet_is_one_page_that_needs_no_other_file(root, capsys):
    tool.main(["--root", str(root)])
    html = (root / "build" / "contact-sheet.html").read_text(encoding="utf-8")
    assert html.count("<figure>") == 2 and html.count("<img src=") == html.count('<img src="data:image/png;base64,')
    assert "course/01.ipynb</b> · wait · 900 × 400" in html
    assert "2 pictures" in capsys.readouterr().out


def test_every_lesson_that_shows_a_picture_is_on_it():
    found = tool.pictures(FOLDER)
    assert {each.notebook for each in found} >= {"index.ipynb", "course/05-lazy-shutdown.ipynb", "reference/lab.ipynb"}
    lessons = [each for each in found if each.notebook.startswith("course/")]
    assert len(lessons) >= 15 and all(each.faults == [] for each in lessons), [each.faults for each in lessons]
