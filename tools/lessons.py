"""Measure the lessons: how long they take, how long their sentences are, and phrases that are no English.

    python -m tools.lessons            print the table, and what breaks a rule
    python -m tools.lessons --write    write the measured minutes into the lessons, too

A lesson says in its first cell how long it takes: ``**Time:** 15 minutes to read, 40 with its exercises.`` That is
measured: 200 words a minute, half a minute for a code cell, one for a prediction; and for an exercise, by its stars, 2
or 10 minutes. Both figures are rounded to five minutes. An exercise begins a line with its stars: ``**★ Swap.**`` One
with three stars says how long it takes, ``**★★★ Write patch 6** (20 minutes)``: as long as its own notebook says. The
index says what the whole course takes, and its quizzes, a minute a question.

Words are those of the text, without code. What is folded, such as a solution, counts with the exercises. A sentence has
35 words at most and 20 on average. The exercises, the questions of quizzes and the sentences that the package prints
are held to the same length and phrases; and what the package prints names who acts. Whether it is a good sentence is
left to people: --look lists what to look at. Nothing but Python is needed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.texts import printed

ROOT = Path(__file__).resolve().parent.parent

CORE = "course"
FOLDERS = (CORE, "side", "reviewers", "reference")
TIMED = (CORE, "side", "reviewers")

WORDS_A_MINUTE = 200
MINUTES_A_CELL = 0.5
MINUTES_A_PREDICTION = 1.0
MINUTES_A_QUESTION = 1
MINUTES_BY_STARS = {1: 2, 2: 10, 3: 60}
"""Three stars: unless it says how long."""
ROUNDED_TO = 5
CORE_WORDS_MAX = 20_000
LESSON_WORDS_MAX = 1_900
SENTENCE_MAX = 35
SENTENCE_MEAN_MAX = 20

WRONG = {
    r"for nothing": "needlessly",
    r"(is|are) to be had": "you can get",
    r"mend(s|ed|ing)?": "fix",
    r"for ever": "forever",
    r"takes? no for an answer": "if the answer is no, it moves on",
    r"whose (the|this|a) page is": "who owns the page",
    r"nobody's": "no guest owns it",
    r"(the )?page is (the|a) \w+'s": "the guest owns the page",
    r"pages less": "fewer pages",
    r"by whom comes first": "whoever gets there first cleans it",
    r"what is said to (your|each) (choice|answer)": "feedback",
    r"the speed is paid with": "what the speed-up costs",
    r"nobody has looked": "the kernel doesn't check",
}
"""Phrases, and what to write instead."""

UNNAMED = {r"(?<![\"'])(?:nobody|somebody|everybody|whoever|whom)": "who it is: the guest, the kernel, no process"}
"""What the package must not print, but as a quoted answer. In a lesson it may be right: --look lists it."""

DOUBTFUL = r"somebody|everybody|nobody|whoever|whom|thereby|hence|upon|is to be|are to be|beside that"
"""Words to look at: there may be an actor who has a name."""

TIME = re.compile(r"\*\*Time:\*\* (?P<read>\d+) minutes?(?: to read, (?P<all>\d+) with (?:its|the) exercises)?\.")
CORE_TIME = re.compile(
    r"(?P<read>[\d½]+) hours to read, (?P<all>[\d½]+) with its exercises, and (?P<quizzes>\d+) minutes for the quizzes"
)
STARS = re.compile(
    r"^[\s>#*\-\d.]*(?P<stars>★{1,3})(?!★)(?:[^\n(]*\((?P<minutes>\d+) minutes\))?",
    re.MULTILINE,
)
NOTEBOOK_TIME = re.compile(r"\*\*Time:\*\* (?P<minutes>\d+) minutes")
EXERCISE = re.compile(r'ld\.exercise\("(?P<name>[\w-]+)"')
QUIZ = re.compile(r'ld\.quiz\("(?P<name>[\w-]+)"')
PREDICTION = re.compile(r"\bpredict\(")
WHY = "What happened, and why? (Choose first.)"
"""What the text about a prediction's outcome is folded under, so that no answer stands below its question."""

FOLD = re.compile(rf"<details>(?!<summary>{re.escape(WHY)}).*?</details>", re.DOTALL)
"""What is not read with the lesson: solutions, lists of more."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was measured of a notebook.

    Attributes
    ----------
    name : str
        Its file, in the folder of the notebooks.
    words, folded : int
        Words of its text; those of them that are folded.
    cells, predictions : int
        Code cells, without the predictions; predictions.
    stars : tuple of int
        Of each exercise.
    long : tuple of (int or None)
        Minutes that it says of each exercise with three stars.
    own : mapping of str to int
        Its exercises that have a notebook of their own, and the minutes which that says.
    questions : int
        Of its quiz.
    stated : tuple of (int or None)
        Minutes that it says: to read, with exercises.
    sentences : tuple of str
    """

    name: str
    words: int
    folded: int
    cells: int
    predictions: int
    stars: tuple[int, ...]
    long: tuple[int | None, ...]
    own: Mapping[str, int]
    questions: int
    stated: tuple[int | None, int | None]
    sentences: tuple[str, ...]

    @property
    def reading(self) -> float:
        """Minutes to read it."""
        cells = self.cells * MINUTES_A_CELL + self.predictions * MINUTES_A_PREDICTION
        return (self.words - self.folded) / WORDS_A_MINUTE + cells

    @property
    def minutes(self) -> tuple[int, int | None]:
        """What it should say: minutes to read, with exercises if there are any."""
        by_stars = sum(MINUTES_BY_STARS[stars] for stars in self.stars if stars < 3)
        exercises = by_stars + sum(each or MINUTES_BY_STARS[3] for each in self.long) + self.folded / WORDS_A_MINUTE
        return rounded(self.reading), rounded(self.reading + exercises) if self.stars else None

    @property
    def lengths(self) -> list[int]:
        """Words of each sentence."""
        return [len(words_of(sentence)) for sentence in self.sentences]


def rounded(minutes: float) -> int:
    """Round to five minutes, and to no less."""
    return max(ROUNDED_TO, round(minutes / ROUNDED_TO) * ROUNDED_TO)


def words_of(text: str) -> list[str]:
    """The words of a text; signs that stand alone are none."""
    return [word for word in text.split() if re.search(r"\w", word)]


def prose(markdown: str) -> str:
    """A Markdown text without what is not read as sentences: code, marks, addresses of links."""
    text = re.sub(r"```.*?```", "\n\n", markdown, flags=re.DOTALL)
    text = re.sub(r"\$\$.*?\$\$", " formula ", text, flags=re.DOTALL)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"</?(p|li|ul|ol|div|details|summary|br|td|tr|table)\b[^>]*>", "\n\n", text)
    text = re.sub(r"<[^>]+>", "", text)
    text = re.sub(r"^\|?[\s:|-]+\|?$", "", text, flags=re.MULTILINE)  # below the head of a table
    text = re.sub(r"^[ \t]*[#>]+[ \t]", "", text, flags=re.MULTILINE)
    return re.sub(r"\*+(?=\S)|(?<=\S)\*+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)", "", text)


def sentences_of(markdown: str) -> Iterator[str]:
    """The sentences of a Markdown text; items of a list, cells of a table and headings end one, too."""
    text = re.sub(r"\|", "\n\n", prose(markdown))
    text = re.sub(r"\n\s*(?:[-*+]|\d+\.)\s+", "\n\n", "\n" + text)
    for block in re.split(r"\n\s*\n", text):
        ends = re.sub(r"([.!?][\"”’)]*) (?=[\"“‘(]*[A-Z0-9])", r"\1\n", " ".join(block.split()))
        for sentence in ends.split("\n"):
            if words_of(sentence):
                yield sentence


def measure(path: Path, folder: Path) -> Lesson:
    """Measure a notebook."""
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    predictions = sum(bool(PREDICTION.search(source)) for source in code)
    stated = TIME.search(texts[0]) if texts else None
    exercises = [found for text in texts for found in STARS.finditer(FOLD.sub("", text))]
    everything = "\n".join(texts + code)
    return Lesson(
        name=path.relative_to(folder).as_posix(),
        words=sum(len(words_of(prose(text))) for text in texts),
        folded=sum(len(words_of(prose(fold))) for text in texts for fold in FOLD.findall(text)),
        cells=len(code) - predictions,
        predictions=predictions,
        stars=tuple(len(found["stars"]) for found in exercises),
        long=tuple(int(each["minutes"]) if each["minutes"] else None for each in exercises if len(each["stars"]) == 3),
        own=dict(own_minutes({found["name"] for found in EXERCISE.finditer(everything)}, folder)),
        questions=sum(questions_of(found["name"], folder.parent) for found in QUIZ.finditer(everything)),
        stated=(int(stated["read"]), int(stated["all"]) if stated["all"] else None) if stated else (None, None),
        sentences=tuple(sentence for text in texts for sentence in sentences_of(text)),
    )


def own_minutes(names: set[str], folder: Path) -> Iterator[tuple[str, int]]:
    """Exercises that have a notebook of their own, with the minutes that it says."""
    for path in sorted((folder / "exercises" / "release").rglob("*.ipynb")):
        if path.stem in names and (said := NOTEBOOK_TIME.search(path.read_text(encoding="utf-8"))):
            yield path.stem, int(said["minutes"])


def questions_of(quiz: str, root: Path) -> int:
    """How many questions a quiz has."""
    path = root / "lazydestroy" / "quizzes" / f"{quiz}.toml"
    return len(tomllib.loads(path.read_text(encoding="utf-8"))["questions"]) if path.exists() else 0


def lessons(folder: Path) -> list[Path]:
    """The notebooks that are measured: those of the course, and the index as soon as it leads there."""
    index = folder / "index.ipynb"
    found = [index] if index.exists() and f"({CORE}/" in index.read_text(encoding="utf-8") else []
    for name in FOLDERS:
        found += sorted(path for path in (folder / name).rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return found


def texts_of(value: Any) -> Iterator[str]:
    """All texts in a file of questions but the names of things."""
    if isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if isinstance(each, str) and key in ("question", "answer", "feedback"):
                yield each
            elif not isinstance(each, str):
                yield from texts_of(each)


def breaches(lesson: Lesson) -> Iterator[str]:
    """The rules that a lesson breaks."""
    if lesson.name.split("/")[0] in TIMED and lesson.stated != lesson.minutes:
        reading, everything = lesson.minutes
        wanted = f"{reading} minutes" + (f" to read, {everything} with its exercises" if everything else "")
        yield f"its first cell should say **Time:** {wanted}. (python -m tools.lessons --write writes that)"
    if None in lesson.long:
        yield "an exercise with three stars should say how long it takes: **★★★ Write it** (20 minutes)"
    for name, minutes in lesson.own.items():
        if lesson.name.split("/")[0] in TIMED and minutes not in lesson.long:
            yield f"its exercise {name} takes {minutes} minutes, by its own notebook: **★★★ …** ({minutes} minutes)"
    if lesson.name.startswith(f"{CORE}/") and lesson.words > LESSON_WORDS_MAX:
        yield f"it has {lesson.words:,} words, {LESSON_WORDS_MAX:,} at most"
    lengths = lesson.lengths
    if lengths and sum(lengths) / len(lengths) > SENTENCE_MEAN_MAX:
        yield f"its sentences have {sum(lengths) / len(lengths):.1f} words on average, {SENTENCE_MEAN_MAX} at most"
    yield from wordings(lesson.sentences)


def wordings(sentences: tuple[str, ...], wrong: Mapping[str, str] = WRONG) -> Iterator[str]:
    """Sentences that are too long, and phrases to be written in another way."""
    for sentence in sentences:
        length = len(words_of(sentence))
        if length > SENTENCE_MAX:
            yield f"{length} words in a sentence, {SENTENCE_MAX} at most: {sentence}"
        for phrase, instead in wrong.items():
            found = re.search(rf"(?<!\w)(?:{phrase})(?!\w)", sentence, re.IGNORECASE)
            if found:
                yield f"instead of “{found[0]}” write “{instead}”: {sentence}"


def doubtful(lesson: Lesson) -> list[str]:
    """Sentences with a word to look at."""
    return [sentence for sentence in lesson.sentences if re.search(rf"\b({DOUBTFUL})\b", sentence, re.IGNORECASE)]


def table(measured: list[Lesson]) -> str:
    """All that was measured, a line for a lesson."""
    head = ("", "minutes", "with exercises", "words", "cells", "predictions", "exercises", "longest", "to look at")
    rows = [head]
    for lesson in measured:
        reading, everything = lesson.minutes
        stars = " ".join("★" * stars for stars in lesson.stars) or "-"
        numbers = (reading, everything or "-", lesson.words, lesson.cells, lesson.predictions, stars)
        rows.append((lesson.name, *map(str, numbers), str(max(lesson.lengths, default=0)), str(len(doubtful(lesson)))))
    reading, everything = core_minutes(measured)
    words = sum(each.words for each in core_of(measured))
    rows.append(("the core", str(reading), str(everything), str(words), *[""] * 5))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"{row[0]:<{widths[0]}}  " + "  ".join(map(str.rjust, row[1:], widths[1:])) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def core_of(measured: list[Lesson]) -> list[Lesson]:
    """The lessons of the course."""
    return [lesson for lesson in measured if lesson.name.startswith(f"{CORE}/")]


def core_minutes(measured: list[Lesson]) -> tuple[int, int]:
    """Minutes of the course: to read, with exercises."""
    core = core_of(measured)
    return sum(each.minutes[0] for each in core), sum(each.minutes[1] or each.minutes[0] for each in core)


def core_time(measured: list[Lesson]) -> str:
    """What the index should say of the course's time."""
    reading, everything = (hours(minutes) for minutes in core_minutes(measured))
    quizzes = rounded(sum(each.questions for each in core_of(measured)) * MINUTES_A_QUESTION)
    return f"{reading} hours to read, {everything} with its exercises, and {quizzes} minutes for the quizzes"


def hours(minutes: int) -> str:
    """Hours, rounded to halves."""
    whole, half = divmod(round(minutes / 30), 2)
    return f"{whole}{'½' if half else ''}"


def write_core_time(path: Path, measured: list[Lesson]) -> None:
    """Write the course's time into the index."""
    text = path.read_text(encoding="utf-8")
    path.write_text(CORE_TIME.sub(core_time(measured), text, count=1), encoding="utf-8")


def write_minutes(path: Path, lesson: Lesson) -> None:
    """Write the measured minutes into a lesson's first cell."""
    reading, everything = lesson.minutes
    said = f"**Time:** {reading} minutes" + (f" to read, {everything} with its exercises." if everything else ".")
    text = path.read_text(encoding="utf-8")
    path.write_text(TIME.sub(said, text, count=1), encoding="utf-8")


def problems(root: Path, measured: list[Lesson]) -> list[str]:
    """All rules that are broken, each with the file."""
    found = [f"{lesson.name}: {breach}" for lesson in measured for breach in breaches(lesson)]
    index = root / "notebooks" / "index.ipynb"
    if index.exists() and core_of(measured) and core_time(measured) not in index.read_text(encoding="utf-8"):
        found.append(f"index.ipynb: it should say {core_time(measured)}. (python -m tools.lessons --write writes that)")
    for path in sorted((root / "lazydestroy" / "quizzes").glob("*.toml")):
        texts = texts_of(tomllib.loads(path.read_text(encoding="utf-8")))
        sentences = tuple(sentence for text in texts for sentence in sentences_of(text))
        found += [f"{path.name}: {breach}" for breach in wordings(sentences)]
    for path in sorted((root / "notebooks" / "exercises").rglob("*.ipynb")):
        exercise = measure(path, root / "notebooks")
        found += [f"{exercise.name}: {breach}" for breach in wordings(exercise.sentences)]
    for where, text in printed(root / "lazydestroy"):
        found += [f"{where}: {breach}" for breach in wordings(tuple(sentences_of(text)), WRONG | UNNAMED)]
    words = sum(lesson.words for lesson in measured if lesson.name.startswith(f"{CORE}/"))
    if words > CORE_WORDS_MAX:
        found.append(f"the core has {words:,} words, {CORE_WORDS_MAX:,} at most")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print what was measured; 1 if a rule is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the measured minutes into the lessons")
    parser.add_argument("--look", action="store_true", help="print the sentences that people should look at")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args(arguments)
    folder = given.root / "notebooks"
    paths = lessons(folder)
    if given.write:
        for path in paths:
            if path.parent.name in TIMED:
                write_minutes(path, measure(path, folder))
    measured = [measure(path, folder) for path in paths]
    if given.write and (folder / "index.ipynb") in paths:
        write_core_time(folder / "index.ipynb", measured)
        measured[0] = measure(folder / "index.ipynb", folder)
    print(table(measured))
    if given.look:
        print(*(f"\n{lesson.name}: {sentence}" for lesson in measured for sentence in doubtful(lesson)), sep="")
    found = problems(given.root, measured)
    print(*(f"\n{each}" for each in found), sep="")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
