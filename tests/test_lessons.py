"""What `tools.lessons` measures: minutes, words, sentences; and the lessons hold its rules."""

from __future__ import annotations

import json

import pytest
from refresh_notebooks import FOLDER, ROOT

from tools import lessons as tool


@pytest.fixture
def root(tmp_path):
    """A repository with one lesson, written by the function that it is."""
    folder = tmp_path / "notebooks" / "course"
    folder.mkdir(parents=True)
    (tmp_path / "lazydestroy" / "quizzes").mkdir(parents=True)

    def write(*cells, name="01-first"):
        made = [{"cell_type": kind, "source": source.splitlines(keepends=True)} for kind, source in cells]
        (folder / f"{name}.ipynb").write_text(json.dumps({"cells": made}), encoding="utf-8")
        return tool.measure(folder / f"{name}.ipynb", tmp_path / "notebooks")

    write.root = tmp_path
    return write


def text(source):
    return "markdown", source


CODE = ("code", "run.plot()")
PREDICTION = ("code", 'ld.predict("when", lambda: run)')


# The lessons


def test_each_lesson_says_how_long_it_takes_and_keeps_to_the_rules():
    measured = [tool.measure(path, FOLDER) for path in tool.lessons(FOLDER)]
    assert tool.problems(ROOT, measured) == []


# What is measured


def test_minutes_are_those_of_words_cells_predictions_and_stars(root):
    words = text("# T\n\n" + " ".join(["word"] * 999))
    assert root(words).minutes == (5, None)
    assert root(words, CODE, CODE, CODE, CODE, PREDICTION, PREDICTION).reading == 1000 / 200 + 4 * 0.5 + 2 * 1
    exercises = text("**★ One.** Do it.\n\n### ★★★ Two\n\nA ★ in a line is none, and neither is ★★★★.")
    found = root(words, exercises)
    assert found.stars == (1, 3) and found.minutes == (5, 65)


def test_code_and_addresses_are_no_words_and_a_fold_counts_with_the_exercises(root):
    source = "Read `a b c` [the page](notebooks/x.ipynb#a).\n\n```python\na = 1\n```\n\n![picture](a.png)"
    assert root(text(source)).words == 4
    fold = "\n\n<details><summary>Solution</summary>\n\none two\n\n```python\nx = 1\n```\n\n</details>"
    found = root(text(source + fold))
    assert (found.words, found.folded, found.reading) == (7, 3, 4 / 200)


def test_what_a_lesson_says_of_its_time_is_found_and_written(root):
    lesson = (text("# T\n\n**Time:** 30 minutes."), CODE, text("**★★ Write it.**"))
    found = root(*lesson)
    assert found.stated == (30, None) and found.minutes == (5, 10)
    (breach,) = tool.breaches(found)
    assert breach.startswith("its first cell should say **Time:** 5 minutes to read, 10 with its exercises. (python")
    assert tool.main(["--write", "--root", str(root.root)]) == 0
    written = root.root / "notebooks" / "course" / "01-first.ipynb"
    assert tool.measure(written, root.root / "notebooks").stated == (5, 10)


def test_a_lesson_that_says_nothing_of_its_time_breaks_a_rule(root):
    assert "should say **Time:** 5 minutes." in next(tool.breaches(root(text("# T"))))


def test_sentences_end_with_items_cells_and_headings():
    source = (
        '# Head\n\nOne two. "Three." (Four, v1.5.) Five:\n\n* six\n* seven eight\n\n| a | b c |\n|---|---|\n| d | e |'
    )
    found = [sentence.strip() for sentence in tool.sentences_of(source)]
    assert found == [
        "Head",
        "One two.",
        '"Three."',
        "(Four, v1.5.)",
        "Five:",
        "six",
        "seven eight",
        "a",
        "b c",
        "d",
        "e",
    ]


@pytest.mark.parametrize(
    ("sentence", "breach"),
    [
        (" ".join(["word"] * 36) + ".", "36 words in a sentence, 35 at most"),
        ("Patch 2 mends that.", "instead of “mends” write “fix”"),
        ("The page is the guest's.", "write “the guest owns the page”"),
        ("It waits for ever.", "write “forever”"),
    ],
)
def test_long_sentences_and_wrong_phrases_are_found(root, sentence, breach):
    lesson = root(text(f"**Time:** 5 minutes. It is short.\n\n{sentence}"))
    (found,) = tool.breaches(lesson)
    assert breach in found
    quiz = root.root / "lazydestroy" / "quizzes" / "first.toml"
    quiz.write_text(f'[[questions]]\nquestion = "{sentence}"\nanswers = []\n', encoding="utf-8")
    assert [each for each in tool.problems(root.root, []) if breach in each and each.startswith("first.toml")]


@pytest.mark.parametrize("sentence", ["That is amended.", "The page is the first one.", " ".join(["word"] * 35) + "."])
def test_what_is_right_is_let_be(root, sentence):
    assert list(tool.breaches(root(text(f"**Time:** 5 minutes. It is short.\n\n{sentence}")))) == []


def test_long_sentences_are_no_habit(root):
    lesson = root(text("**Time:** 5 minutes.\n\n" + " ".join(f"{' '.join(['Word'] * 24)}." for _ in range(9))))
    assert list(tool.breaches(lesson)) == ["its sentences have 21.9 words on average, 20 at most"]


def test_the_core_is_short_enough(root):
    words = " ".join(["word"] * 20)
    lesson = root(text("**Time:** 100 minutes.\n\n" + f"{words}.\n\n" * 1001))
    assert tool.problems(root.root, [lesson]) == ["the core has 20,023 words, 20,000 at most"]


def test_the_index_is_measured_as_soon_as_it_leads_into_the_course(root):
    index = root.root / "notebooks" / "index.ipynb"
    for source, there in (("[1](01.ipynb)", False), ("[1](course/01.ipynb)", True)):
        index.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": [source]}]}), encoding="utf-8")
        assert (index in tool.lessons(root.root / "notebooks")) == there


def test_a_table_and_what_to_look_at_is_printed(root, capsys):
    root(text("**Time:** 5 minutes.\n\nSomebody does it."), CODE)
    assert tool.main(["--look", "--root", str(root.root)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[1].split() == ["course/01-first.ipynb", "5", "-", "6", "1", "0", "-", "3", "1"]
    assert "course/01-first.ipynb: Somebody does it." in said
