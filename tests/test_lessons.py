"""What `tools.lessons` measures: minutes, words, sentences; and the lessons hold its rules."""

from __future__ import annotations

import json
import re

import pytest

import lazydestroy as ld
from lazydestroy.units import size
from tests.refresh_notebooks import FOLDER, ROOT
from tools import lessons as tool
from tools import texts


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
    assert tool.problems(root.root, [lesson]) == [
        "course/01-first.ipynb: it has 20,023 words, 1,900 at most",
        "the core has 20,023 words, 20,000 at most",
    ]


def test_the_index_is_measured_as_soon_as_it_leads_into_the_course(root):
    index = root.root / "notebooks" / "index.ipynb"
    for source, there in (("[1](01.ipynb)", False), ("[1](course/01.ipynb)", True)):
        index.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": [source]}]}), encoding="utf-8")
        assert (index in tool.lessons(root.root / "notebooks")) == there


def test_a_long_exercise_takes_what_its_own_notebook_says(root):
    own = root.root / "notebooks" / "exercises" / "release" / "write-the-patch" / "patch-6.ipynb"
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps({"cells": [{"source": ["**Time:** 20 minutes."]}]}), encoding="utf-8")
    task = '`ld.exercise("patch-6")` has the task.'
    head = "# T\n\n**Time:** 5 minutes to read, {} with its exercises."
    said = root(text(head.format(20)), text(f"**★★★ Write patch 6** (20 minutes). {task}"))
    assert (said.long, said.own, said.minutes) == ((20,), {"patch-6": 20}, (5, 20))
    assert list(tool.breaches(said)) == []
    other = root(text(head.format(30)), text(f"**★★★ Write patch 6** (30 minutes). {task}"))
    assert "its exercise patch-6 takes 20 minutes" in next(tool.breaches(other))
    unsaid = root(text(head.format(60)), text(f"**★★★ Write patch 6.** {task}"))
    assert unsaid.minutes[1] == 60 and "should say how long it takes" in next(tool.breaches(unsaid))


def test_the_index_says_what_the_whole_course_takes(root):
    quiz = root.root / "lazydestroy" / "quizzes" / "first.toml"
    asked = "".join(f'[[questions]]\nquestion = "{number}?"\nanswers = []\n' for number in range(12))
    quiz.write_text(asked, encoding="utf-8")
    lesson = (text("# T\n\n**Time:** 5 minutes to read, 155 with its exercises."), ("code", 'ld.quiz("first")'))
    root(*lesson, text("**★★★ Write it** (150 minutes)."))
    index = root.root / "notebooks" / "index.ipynb"
    old = "[1](course/01-first.ipynb): 9 hours to read, 9½ with its exercises, and 5 minutes for the quizzes."
    cells = [{"cell_type": "markdown", "source": [old]}]
    index.write_text(json.dumps({"cells": cells}, ensure_ascii=False), encoding="utf-8")
    assert tool.main(["--root", str(root.root)]) == 1
    assert tool.main(["--write", "--root", str(root.root)]) == 0
    said = json.loads(index.read_text(encoding="utf-8"))["cells"][0]["source"][0]
    assert said == "[1](course/01-first.ipynb): 0 hours to read, 2½ with its exercises, and 10 minutes for the quizzes."


def test_a_table_and_what_to_look_at_is_printed(root, capsys):
    root(text("**Time:** 5 minutes.\n\nSomebody does it."), CODE)
    assert tool.main(["--look", "--root", str(root.root)]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[1].split() == ["course/01-first.ipynb", "5", "-", "6", "1", "0", "-", "3", "1"]
    assert "course/01-first.ipynb: Somebody does it." in said


# What the package prints

CODE_THAT_PRINTS = '''
"""Nobody reads docstrings here."""

class Mistake(Layer):
    """Whoever comes first destroys the page."""

def f(page):
    """For ever."""
    say("one", "nobody", f"page {page} is clean, {page} for ever", f"{page} waits")
    return "a long text " "that goes on"
'''


def test_texts_are_the_constants_of_the_code_and_what_is_filled_in_is_a_word():
    found = dict(map(reversed, texts.texts_of(CODE_THAT_PRINTS)))
    assert set(found) == {"page 0 is clean, 0 for ever", "0 waits", "a long text that goes on"}
    assert found["a long text that goes on"] == 10


def test_the_docstrings_of_layers_are_printed():
    found = [text for _, text in texts.texts_of(CODE_THAT_PRINTS, docstrings=True)]
    assert "Whoever comes first destroys the page." in found
    assert not any("docstrings" in text or text == "For ever." for text in found)


def test_a_reference_is_no_part_of_a_sentence():
    code = "said = 'He said no. [-13] Then he wrote it. [20210518-x@host]'"
    assert [text for _, text in texts.texts_of(code)] == ["He said no. Then he wrote it."]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Nobody asks for memory.", "instead of “Nobody”"),
        ("The page belongs to somebody else.", "instead of “somebody”"),
        ("The access is retried for ever.", "write “forever”"),
        (" ".join(["word"] * 36) + ".", "36 words in a sentence"),
    ],
)
def test_what_the_package_prints_is_judged(root, said, told):
    folder = root.root / "lazydestroy" / "host"
    folder.mkdir()
    (folder / "log.py").write_text(f"def f(n):\n    return f'{said} {{n}}'\n", encoding="utf-8")
    (problem,) = tool.problems(root.root, [])
    assert problem.startswith("host/log.py:2: ") and told in problem


@pytest.mark.parametrize("said", ['code that says or "nobody" is there', "no process asks for memory"])
def test_an_actor_with_a_name_is_right(root, said):
    (root.root / "lazydestroy" / "log.py").write_text(f"said = '{said}'\n", encoding="utf-8")
    assert tool.problems(root.root, []) == []


# What a lesson tells, and what its exercises ask


def test_the_formula_of_the_first_lesson_solves_its_exercise_whatever_the_seed():
    lesson = (FOLDER / "course/01-why-is-the-reboot-slow.ipynb").read_text(encoding="utf-8")
    formula = re.search(r"> downtime = (.*) \+ the end of vCPUs and guest", lesson)[1].replace("×", "*")
    some_unused = 0
    for seed in range(30):
        problem = ld.exercise("reboot-time", seed=seed)
        given = problem.numbers
        costs, entries = ld.Costs(destroy=given["destroy"], walk=given["walk"]), size(given["memory"]) // 4096
        pages = int(entries * given["used"])
        some_unused += pages < entries
        answer = eval(formula, {"entries": entries, "pages": pages, "look": costs.walk, "destroy": costs.destroy})
        assert problem.check(f"{answer} ns"), (seed, given)
    assert some_unused > 10
