"""What only teachers get, as pages that need nothing but a browser: the key to all exercises, and a test to print.

    python -m tools.teachers key [STUDENT ...]    build/teachers/key.html: solutions; the students' own answers, too
    python -m tools.teachers sheet                build/teachers/sheet.html: the questions before and after the course

Neither is part of what students get (`tools.students`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

import lazydestroy as ld
from lazydestroy.exercises.numbers import NumberExercise
from lazydestroy.exercises.patching import PatchExercise
from lazydestroy.exercises.student import seed_of
from lazydestroy.quizzes import Asked, quiz_named
from tools.experiments import SAMPLES

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / "teachers"
RUBRIC = ROOT / "notebooks/exercises/source/design-an-experiment/experiment.ipynb"

TEST = "before-and-after"
SAMPLE = "your student id"
"""The seed that the exercises come with; its answers are in the key if no students are named."""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.45 sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff; }}
h1, h2 {{ line-height: 1.2; }}
h2 {{ margin-top: 2em; border-bottom: 1px solid #999; }}
pre {{ background: #f3f3f3; padding: .6em; overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #999; padding: .2em .6em; text-align: left; vertical-align: top; }}
.question {{ break-inside: avoid; margin: 1.2em 0; }}
.question ul {{ list-style: none; padding-left: 1.2em; }}
.question li::before {{ content: "☐"; margin: 0 .6em 0 -1.2em; }}
.line {{ display: inline-block; width: 15em; border-bottom: 1px solid #111; }}
@media print {{ body {{ margin: 0; max-width: none; font-size: 11pt; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def problem_html(name: str, students: Sequence[str]) -> str:
    """A problem in the key: the answer of each student, and how the first one's is found."""
    problems = [(student, ld.exercise(name, seed=seed_of(student))) for student in students]
    answers = [(student, each.right_answer) for student, each in problems if isinstance(each, NumberExercise)]
    rows = "".join(f"<tr><td>{escape(student)}</td><td>{escape(answer)}</td></tr>\n" for student, answer in answers)
    first = problems[0][1]
    table = f"<table>\n<tr><th>student</th><th>answer</th></tr>\n{rows}</table>"
    return f"{_head(name, first.title)}\n{table}\n{first._repr_html_()}\n{first.solution()._repr_html_()}"


def patch_html(name: str) -> str:
    """A patch in the key: how it can be written, and the usual mistakes."""
    patch = ld.exercise(name)
    assert isinstance(patch, PatchExercise)
    mistakes = "".join(f"<li>{escape(each.name)}: {escape(each.hint)}</li>\n" for each in patch.mistakes)
    return (
        f"{_head(name, patch.title)}\n{patch.solution()._repr_html_()}\n"
        f"<p>Mistakes that <code>check</code> knows:</p>\n<ul>\n{mistakes}</ul>"
    )


def rubric_html() -> str:
    """How an experiment is judged, from the exercise itself."""
    from nbconvert.filters import markdown2html

    cells = json.loads(RUBRIC.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    judged = next(text for text in texts if text.startswith("## How it is judged"))
    table = markdown2html(judged.partition("\n")[2])
    samples = "".join(
        f"<li>{escape(sample.begins)} …: {escape(sample.result())} What goes wrong:"
        f"<ul>{''.join(f'<li>{escape(trap)}</li>' for trap in sample.traps)}</ul></li>\n"
        for sample in SAMPLES
    )
    return (
        f"{_head('experiment', 'design an experiment')}\n{table}\n<p>What comes out, question by question, and "
        f"the usual traps. Other questions and other numbers are as good.</p>\n<ol>\n{samples}</ol>"
    )


def test_key_html() -> str:
    """The right answers to the test, and what is said to the wrong ones."""
    asked = "".join(f"<li>{each.html}</li>\n" for each in quiz_named(TEST))
    return f"{_head(TEST, 'eight questions before the course, and after it')}\n<ol>\n{asked}</ol>"


def _head(name: str, title: str) -> str:
    return f'<h2 id="{escape(name)}">{escape(title)} <small>({escape(name)})</small></h2>'


def key(students: Sequence[str] = ()) -> str:
    """Write the key.

    Parameters
    ----------
    students : sequence of str
        Their ids, from which the numbers of their problems are drawn. Without any, the key has the answers for the id
        that the exercises come with.

    Returns
    -------
    str
        A page.
    """
    seeds = list(students) or [SAMPLE]
    parts = ["<h1>lazydestroy: the key</h1>", "<p>For teachers. It has the solutions to all exercises.</p>"]
    for name in ld.exercises.EXERCISES:
        numbered = isinstance(ld.exercise(name), NumberExercise)
        parts.append(problem_html(name, seeds) if numbered else patch_html(name))
    parts += [rubric_html(), test_key_html()]
    return PAGE.format(title="lazydestroy: the key", body="\n".join(parts).replace("<details>", "<details open>"))


def sheet() -> str:
    """Write the test to be printed: the questions, and no word on which answers are right."""
    questions = "\n".join(_on_paper(number, asked) for number, asked in enumerate(quiz_named(TEST), 1))
    body = (
        "<h1>Eight questions</h1>\n"
        '<p>Name: <span class="line"></span> &nbsp; ☐ before the course &nbsp; ☐ after it</p>\n'
        "<p>Choose one answer to each question. Leave out what you have no idea of. A virtual machine is "
        "<i>protected</i> if the host can’t read its memory. Trusted firmware guards it, page by page, and keeps "
        f"books on who owns which page.</p>\n{questions}"
    )
    return PAGE.format(title="lazydestroy: eight questions", body=body)


def _on_paper(number: int, asked: Asked) -> str:
    return f'<div class="question">{asked.bare.replace("<p><b>", f"<p><b>{number}. ", 1)}</div>'


def main(arguments: list[str] | None = None) -> int:
    """Write the page that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tools.teachers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("page", choices=("key", "sheet"))
    parser.add_argument("students", nargs="*", help="for the key: ids of students, from which their numbers are drawn")
    parser.add_argument("--to", type=Path, default=BUILT, help="folder to write into")
    given = parser.parse_args(arguments)
    given.to.mkdir(parents=True, exist_ok=True)
    path = given.to / f"{given.page}.html"
    path.write_text(key(given.students) if given.page == "key" else sheet(), encoding="utf-8")
    print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
