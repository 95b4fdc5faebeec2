"""What only teachers get: slides, the key, and a test to print."""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser

import pytest

import lazydestroy as ld
from lazydestroy.quizzes import quiz_named
from tests.in_browser import MARKS, SCREENSHOTS
from tests.refresh_notebooks import FOLDER
from tools import slides, students, teachers
from tools.experiments import SAMPLES


class Loads(HTMLParser):
    """Collects what a page would load, and the ends of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.loads += [values[name] for name in ("src", "href") if values.get(name)]


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> str:
    """The key as it is written; with the answers of all exercises it takes seconds."""
    folder = tmp_path_factory.mktemp("key")
    assert teachers.main(["key", "eve", "bob", "--to", str(folder)]) == 0
    return (folder / "key.html").read_text(encoding="utf-8")


# Slides


def test_there_are_some_fifteen_slides_and_each_says_what_to_say():
    assert 12 <= len(slides.slides_of()) <= 18
    for slide in slides.slides_of():
        assert len(slide.title.split()) <= 12 and len(slide.say.split()) >= 10
        assert bool(slide.cell) != bool(slide.lines)


def test_every_lesson_of_the_course_is_shown_but_the_game_which_is_played():
    shown = {slide.notebook for slide in slides.SLIDES}
    course = {path.relative_to(FOLDER).with_suffix("").as_posix() for path in (FOLDER / "course").glob("*.ipynb")}
    assert course - shown == {"course/06-the-game"}


def test_a_deck_of_some_lessons_has_their_slides_and_principles():
    lab = slides.slides_of([1, 2, 3])
    assert {each.lesson for each in lab} == {0, 1, 2, 3} and len(lab) < len(slides.slides_of())
    assert lab[0] == slides.SLIDES[0] and lab[-1].lines == tuple(slides.PRINCIPLES[each] for each in (1, 2, 3))
    every = [each for number in slides.PRINCIPLES for each in slides.slides_of([number]) if each.lesson]
    assert sorted(every, key=slides.SLIDES.index) == [each for each in slides.SLIDES if each.lesson]


def test_a_principle_is_its_lessons():
    names = {int(path.name[:2]): path for path in (FOLDER / "course").glob("*.ipynb")}
    assert set(names) == set(slides.PRINCIPLES)
    for number, line in slides.PRINCIPLES.items():
        assert line.partition(". ")[0].rstrip(".") in names[number].read_text(encoding="utf-8"), number


def test_a_lesson_that_is_not_there_is_refused(capsys):
    with pytest.raises(SystemExit):
        slides.main(["3", "11"])
    assert "lessons=11: give numbers of lessons, 1 to 10" in capsys.readouterr().err


@pytest.mark.parametrize("slide", [each for each in slides.SLIDES if each.cell], ids=lambda slide: slide.title)
def test_each_picture_is_there_and_has_its_words(slide):
    png, alt = slides.picture(slide.notebook, slide.cell)
    assert png.startswith("iVBOR") and len(alt.split()) > 10


def test_a_cell_without_a_picture_is_refused():
    with pytest.raises(ValueError, match="cell='intro': index.ipynb shows no picture there"):
        slides.picture("index", "intro")


def test_the_deck_loads_nothing(tmp_path, capsys):
    assert slides.main(["--to", str(tmp_path)]) == 0
    assert f"{len(slides.slides_of())} slides" in capsys.readouterr().out
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    loads = Loads(page).loads
    assert len(loads) == len([slide for slide in slides.SLIDES if slide.cell])
    assert all(each.startswith("data:image/png;base64,") for each in loads)
    assert not re.search(r"url\(\s*['\"]?(?!data:)|@import", page.partition("</style>")[0])


def test_without_reveal_js_it_says_where_it_comes_from(monkeypatch):
    monkeypatch.setattr(slides.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install -e \"\.\[classroom\]\""):
        slides.deck(slides.slides_of())


class TestInABrowser:
    pytestmark = MARKS

    def test_the_slides_turn_and_fit(self, tmp_path):
        from playwright.sync_api import sync_playwright

        from benchmarks.browser import chromium

        slides.main(["--to", str(tmp_path)])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            errors: list[object] = []
            page.on("pageerror", lambda error: errors.append(error))
            page.goto((tmp_path / "index.html").as_uri())
            page.wait_for_function("window.Reveal && Reveal.isReady()")
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            for number, slide in enumerate(slides.slides_of(), 1):
                now = page.locator("section.present")
                assert slide.title == now.locator("h2").inner_text()
                box = now.bounding_box()
                assert box["y"] >= 0 and box["y"] + box["height"] <= 720, slide.title
                page.screenshot(path=SCREENSHOTS / f"slide-{number:02}.png")
                page.keyboard.press("ArrowRight")
            assert not errors
            browser.close()


# The key


def test_the_key_has_every_exercise_and_every_students_answers(key):
    for name in ld.exercises.EXERCISES:
        assert f'<h2 id="{name}">' in key
    for student in ("eve", "bob"):
        for name in ("flat-floor", "who-owns", "missing-patch"):
            answer = ld.exercise(name, seed=student).right_answer
            assert f"<tr><td>{student}</td><td>{answer}</td></tr>" in key
            assert ld.exercise(name, seed=student).check(answer).right
    assert Loads(key).loads == []


def test_the_key_has_the_usual_mistakes_the_rubric_and_the_test(key):
    patch = ld.exercise("patch-9")
    text = re.sub(r"\s+", " ", key)
    assert all(teachers.escape(mistake.hint) in text for mistake in patch.mistakes)
    assert "<th><strong>" not in key and "hypothesis" in key and "Two points for each of the five parts" in key
    assert "✔ Right." in key and "<details>" not in key


def test_the_key_is_for_ids_that_look_like_anything():
    assert "<td>&lt;b&gt;</td>" in teachers.problem_html("reboot-time", ["<b>"])


# The test on paper


def test_the_sheet_asks_what_the_quiz_asks_and_tells_no_answer():
    sheet = teachers.sheet()
    asked = quiz_named(teachers.TEST)
    assert sheet.count('<div class="question">') == len(asked) == 8
    for question in asked:
        assert question.question in sheet
        for choice in question.choices:
            assert f"<li>{choice.answer}</li>" in sheet and choice.feedback not in sheet
    assert "✔" not in sheet and Loads(sheet).loads == []


def test_both_pages_are_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ld.exercises, "EXERCISES", ("reboot-time",))
    for page in ("key", "sheet"):
        assert teachers.main([page, "--to", str(tmp_path)]) == 0
        assert (tmp_path / f"{page}.html").exists()
    assert "key.html" in capsys.readouterr().out


def test_without_students_the_key_has_the_answers_for_the_id_that_the_exercises_come_with(monkeypatch):
    monkeypatch.setattr(ld.exercises, "EXERCISES", ("reboot-time",))
    assert teachers.key() == teachers.key([teachers.SAMPLE])
    assert teachers.key() != teachers.key(["ada"])


def test_nothing_of_this_is_for_students():
    given = {*students.package(), *students.notebooks()}
    assert not [name for name in given if "teachers" in name or "slides" in name or name.startswith("build")]
    assert teachers.BUILT.relative_to(teachers.ROOT).parts[0] == "build"


def test_each_question_of_the_experiment_has_a_sample_result_with_its_figures_and_traps(key):
    asked = next(
        "".join(cell["source"])
        for cell in json.loads(teachers.RUBRIC.read_text(encoding="utf-8"))["cells"]
        if cell["id"] == "tasks"
    )
    questions = re.findall(r"^\d\. (.+)$", asked, re.MULTILINE)[:-1]
    assert len(questions) == len(SAMPLES) == 7
    for question, sample in zip(questions, SAMPLES, strict=True):
        assert question.startswith(sample.begins) and len(sample.traps) >= 2
        assert escape(sample.begins) in key and re.search(r"\d\.\d", sample.result())


def test_what_the_samples_say_is_so():
    """Each sentence that is not a figure is seen once more."""
    ratios = [float(found) for found in re.findall(r"([\d.]+) with ", SAMPLES[0].result())]
    assert len(ratios) == 5 and min(ratios) == ratios[1] < 2 < ratios[0] and ratios[-1] > 20
    first, *later = (float(found) for found in re.findall(r"([\d.]+) s[,.]", SAMPLES[1].result()))
    assert len(later) == 2 and max(later) < first
    slow = re.findall(r"reboot ([\d.]+) s, next guest done after ([\d.]+) s", SAMPLES[3].result())
    assert len(slow) == 2 and slow[0] == slow[1]
    half = re.findall(r"after ([\d.]+) s", SAMPLES[4].result())
    assert float(half[0]) == pytest.approx(float(half[1]), rel=1e-4)
