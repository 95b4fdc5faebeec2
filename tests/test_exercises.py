"""Problems with numbers: what is right is accepted, what is wrong is not, and nobody is told the answer."""

import errno
import json
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lazydestroy as ld
from lazydestroy import exercises
from lazydestroy.exercises import NumberExercise, PatchExercise, Progress, kept, session
from lazydestroy.exercises.families import FAMILIES, searching
from lazydestroy.exercises.families.searching import MISSING_PATCH
from lazydestroy.exercises.numbers import COUNT, SIZE, TIME, Draw
from lazydestroy.series.world import World
from tests.marks import long_unless

SEEDS = (0, 1, 2, 3, "s1234567", "Eve")

problems = pytest.mark.parametrize(
    "problem",
    long_unless(
        lambda problem: (problem.name, problem.seed) != (MISSING_PATCH.name, 0),
        "its search takes seconds; those of other seeds do not",
        [NumberExercise(family, seed) for family in FAMILIES for seed in SEEDS],
    ),
    ids=lambda problem: problem.label,
)
families = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@pytest.fixture(autouse=True)
def a_new_session(monkeypatch):
    monkeypatch.setattr(session, "_SESSION", Progress())


def exact(problem):
    """The answer as a student would give it."""
    answer = problem._solved.answer
    return answer if problem.family.kind is None else Fraction(answer, problem.family.kind.unit)


def test_there_are_at_least_twelve_families_and_seven_patches():
    assert len({family.name for family in FAMILIES}) == len(FAMILIES) >= 12
    patches = [name for name in ld.exercises.EXERCISES if isinstance(ld.exercise(name), PatchExercise)]
    assert patches == ["patch-3", "patch-4", "patch-6", "patch-7", "patch-8", "patch-9", "destroy-fast"]


def repeated(problem, word):
    """A choice as an answer: as often as the problem wants words."""
    return ", ".join([word] * problem.family.words)


# Right and wrong


@problems
def test_the_models_answer_is_right(problem):
    feedback = problem.check(exact(problem))
    assert feedback and feedback.right and feedback.points(7) == 7


@problems
def test_a_number_within_the_tolerance_is_right_and_one_beyond_it_is_not(problem):
    if problem.family.kind is None:
        for choice in problem.family.choices:
            answer = repeated(problem, choice)
            assert problem.check(answer).right == (answer == problem._solved.answer)
        return
    tolerance, answer = problem.family.tolerance, exact(problem)
    for factor in (1 - tolerance * Fraction(9, 10), 1 + tolerance * Fraction(9, 10)):
        assert problem.check(answer * factor).right
    for factor in (1 - tolerance * Fraction(11, 10), 1 + tolerance * Fraction(11, 10), Fraction(1, 2), 2, 100, 0):
        feedback = problem.check(answer * factor)
        assert not feedback and feedback.points(7) == 0
        assert feedback.hints


@problems
def test_each_known_slip_is_told_where_to_look(problem):
    right = []
    for slip in problem._solved.slips:
        kind = problem.family.kind
        given = repeated(problem, slip.value) if kind is None else Fraction(slip.value, kind.unit)
        feedback = problem.check(given)
        right.append(feedback.right)
        if not feedback.right:
            assert feedback.hints and all(len(hint) > 20 for hint in feedback.hints)
    assert not all(right)


@problems
def test_a_wrong_answer_is_not_told_the_right_one(problem):
    if problem.family.kind is None:
        wrong = [repeated(problem, choice) for choice in problem.family.choices]
    else:
        wrong = [0, 10 * exact(problem), *(Fraction(s.value, problem.family.kind.unit) for s in problem._solved.slips)]
    for answer in wrong:
        feedback = problem.check(answer)
        if feedback.right:
            continue
        said = " ".join((feedback.text, *feedback.hints))
        if problem.family.kind is None:
            told = re.findall(r"(?:it is|the answer is) (\S+)", said, re.IGNORECASE)
            assert problem._solved.answer not in told
        else:
            assert problem.family.kind.write(problem._solved.answer) not in said


@families
def test_the_known_slips_are_met_somewhere(family):
    """A slip whose value is always right within the tolerance is no slip."""
    every = {slip.hint for seed in range(4) for slip in NumberExercise(family, seed)._solved.slips}
    met = set()
    for seed in range(25 if family.name != MISSING_PATCH.name else 4):
        problem = NumberExercise(family, seed)
        for slip in problem._solved.slips:
            given = [slip.value] * family.words if family.kind is None else Fraction(slip.value, family.kind.unit)
            if not problem.check(given).right:
                met.add(slip.hint)
        if every <= met:
            break
    assert every <= met


@families
def test_a_student_who_solves_the_hint_by_the_code_of_the_solution_is_right(family):
    """The code that the solution shows computes an answer that is accepted."""
    if family.name in ("who-owns", "which-exception", "host-reads", "missing-patch", "break-even"):
        pytest.skip("its code shows more than the answer")
    problem = NumberExercise(family, 5)
    *before, last = problem.solution().code.replace("\n          ", " ").replace("\n            ", " ").split("\n")
    joined = "\n".join([*before, last])
    scope = {"ld": ld}
    statements, _, expression = joined.rpartition("\n") if before else ("", "", joined)
    exec(statements, scope)
    value = eval(expression, scope)
    if family.kind is TIME and not isinstance(value, float):
        value = f"{value} ns"
    assert problem.check(value).right


# Text


@problems
def test_the_task_says_what_an_answer_is_and_leads_to_a_lesson(problem):
    folder = Path(__file__).parent.parent / "notebooks"
    assert (folder / problem.lesson).is_file()
    assert "Answer: " in problem.text and problem.lesson in repr(problem)
    assert problem.title[1:] in problem._repr_html_()


@problems
def test_the_solution_explains(problem):
    solution = problem.solution()
    assert len(solution.steps) >= 2 and solution.code.startswith(("ld.", "m = ", "run = ", "one = ", "def "))
    assert all(step in repr(solution) for step in solution.steps)
    assert solution._repr_html_().count("<li>") == len(solution.steps)


# Seeds


@families
def test_the_same_seed_gives_the_same_problem_and_others_give_others(family):
    texts = [NumberExercise(family, seed).text for seed in range(12 if family.name != MISSING_PATCH.name else 5)]
    assert NumberExercise(family, 3).text == texts[3]
    assert len(set(texts)) >= (3 if family.name == MISSING_PATCH.name else 6)


def test_draws_are_the_same_on_every_computer():
    """If these change, so does what a class was given last year."""
    assert [Draw("flat-floor", 1).number("memory", 1000) for _ in range(2)] == [29, 29]
    assert Draw("flat-floor", "1").number("memory", 1000) == 29


def test_what_a_patch_exercise_is_made_of_cannot_be_changed_for_all_others():
    patch = ld.exercise("patch-3")
    for name in ("kernel", "searches", "mistakes"):
        with pytest.raises(AttributeError, match=f"{name} of patch-3"):
            setattr(patch, name, None)
    assert ld.exercise("patch-3").kernel is not None


def test_a_solution_writes_microseconds_as_the_task_does():
    said = [repr(ld.exercise(name, seed="ada").solution()) for name in ("break-even", "shutdown-wait")]
    assert all(" µs" in text and " us " not in text for text in said)


def test_a_number_and_its_text_are_the_same_seed():
    assert ld.exercise("flat-floor", seed=7).text == ld.exercise("flat-floor", seed="7").text


@pytest.mark.parametrize("seed", [True, 1.5, [], b"x"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="seed="):
        ld.exercise("flat-floor", seed=seed)


def test_an_exercise_that_is_not_there_is_refused_by_name():
    with pytest.raises(ValueError, match="use one of reboot-time"):
        ld.exercise("reboot")
    with pytest.raises(ValueError, match="leave the seed out"):
        ld.exercise("patch-3", seed=1)


# Reading answers


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("16,95 s", "16.95 s"),
        ("0,640 s", "0.64 s"),
        ("0.64", "640 ms"),
        (",5", "500 ms"),
        ("473 milliseconds", "473 ms"),
        ("473 Microseconds", "473 us"),
        ("4.731e-1 s", "473.1 ms"),
        ("1,048.5 s", "1048.5 s"),
        ("1.048,5 sec", "1048.5 s"),
        ("12'345 ms", "12.345 s"),
    ],
)
def test_harmless_ways_to_write_a_time_are_read(typed, read):
    assert TIME.read(typed, "it") == TIME.read(read, "it")


def test_harmless_ways_to_write_an_amount_are_read():
    assert SIZE.read("129,25 mebibytes", "it") == SIZE.read("129.25", "it") == SIZE.read(129.25, "it")


@pytest.mark.parametrize(
    ("kind", "typed", "told"),
    [
        (TIME, "1,048 s", "may be 1.048 or 1048"),
        (SIZE, "129.25 MB", "did you mean '129.25 MiB'"),
        (SIZE, "1,25 MB", "1,25 MB"),
        (TIME, "1,2,3 s", "comma"),
        (TIME, "1e99 s", "1e99 s"),
        (TIME, "-1,5 s", "negative|comma"),
        (TIME, "5 m", "unknown unit"),
    ],
)
def test_what_may_mean_two_things_is_refused_as_it_was_typed(kind, typed, told):
    with pytest.raises(ValueError, match=told) as refused:
        kind.read(typed, "it")
    assert repr(typed) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "answer", "read"),
    [
        ("who-owns", "nobody nobody nobody nobody", "nobody, nobody, nobody, nobody"),
        ("who-owns", "A; b;nobody ; guest a", "A, B, nobody, A"),
        ("who-owns", " guest a  guest b no one nobody", "A, B, nobody, nobody"),
        ("which-exception", "none 0x3d 3F none", "none, 0x3D, 0x3F, none"),
        ("which-exception", [None, None, None, "0x3D"], "none, none, none, 0x3D"),
        ("which-exception", [None, 0x3E, 0x3F, "0x3D"], "none, 0x3E, 0x3F, 0x3D"),
    ],
)
def test_words_are_read_without_commas_and_nothing_is_none(name, answer, read):
    assert ld.exercise(name)._read(answer) == read


def test_times_counts_and_sizes_are_read_with_and_without_units():
    assert TIME.read(1.5, "x") == TIME.read("1.5 s", "x") == TIME.read("1500 ms", "x") == 1_500_000_000
    assert TIME.read("1.5 µs", "x") == TIME.read("1.5 us", "x") == 1500
    assert COUNT.read(1048576, "x") == COUNT.read("1,048,576", "x") == COUNT.read("1 048 576", "x") == 1048576
    assert SIZE.read(1.5, "x") == SIZE.read("1.5 MiB", "x") == 3 << 19


@pytest.mark.parametrize(
    "answer", ["", "long", "1.5 x", "64 GB", "-1 s", -1, None, [], True, float("nan"), float("inf"), np.array([1.0])]
)
def test_what_is_no_time_is_refused(answer):
    with pytest.raises(ValueError, match=r"flat-floor: answer=.*Accepted: a number, which counts s, or text"):
        ld.exercise("flat-floor", seed=1).check(answer)


@pytest.mark.parametrize("answer", ["", "many", "12 pages", -1, None, [], False, float("nan")])
def test_what_is_no_count_is_refused(answer):
    with pytest.raises(ValueError, match=r"one-in-510: answer=.*Accepted: a number, such as 1048576"):
        ld.exercise("one-in-510", seed=1).check(answer)


@pytest.mark.parametrize("answer", [None, ..., "", [], True, np.array(["A"])])
def test_what_is_no_choice_is_refused_not_taken_for_none(answer):
    for name in ("who-owns", "which-exception"):
        with pytest.raises(ValueError, match="use one of"):
            ld.exercise(name, seed=3).check(answer)


def test_an_answer_need_not_be_a_whole_number_of_bytes_or_nanoseconds():
    size, time = ld.exercise("donated-storage", seed=1), ld.exercise("reboot-time", seed=1)
    assert size.check(f"{float(exact(size)):.2f} MiB").right
    assert size.check(f"{float(exact(size)) / 1024:.5f} GiB").right
    assert time.check(f"{float(exact(time)):.13f} s").right


def test_an_answer_may_be_of_any_kind_of_number():
    problem = ld.exercise("one-in-510", seed=1)
    answer = int(exact(problem))
    for number in (answer, float(answer), np.int64(answer), np.float64(answer), Decimal(answer), f"{answer:,}"):
        assert problem.check(number).right
    assert not problem.check(10**400).right


def test_what_is_none_of_the_choices_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'A', 'B', 'nobody'"):
        ld.exercise("who-owns", seed=1).check("C")


@given(st.sampled_from([0x3D, 0x3E, 0x3F]))
@settings(deadline=None, max_examples=10)
def test_an_exception_is_a_number_or_its_text(number):
    problem = ld.exercise("which-exception", seed=0)
    results = {
        problem.check([answer] * 4).right
        for answer in (number, np.int32(number), f"0x{number:x}", f"0x{number:X}", f"{number:x}")
    }
    assert len(results) == 1


def test_a_refused_answer_is_no_try_and_does_not_lead_through_our_code():
    problem = ld.exercise("who-owns", seed=1)
    with pytest.raises(ValueError, match="use one of") as refused:
        problem.check("C")
    assert len(refused.traceback) == 2 and refused.value.__suppress_context__
    assert len(ld.progress()) == 0


@pytest.mark.parametrize("students", long_unless(lambda students: students < 400, "solves 400 problems", (200, 400)))
@pytest.mark.parametrize("name", ["who-owns", "which-exception", "host-reads"])
def test_an_answer_that_is_copied_or_guessed_blindly_is_right_for_few(name, students):
    answers = Counter(ld.exercise(name, seed=seed)._solved.answer for seed in range(students))
    assert max(answers.values()) < 0.18 * students  # 15 % in the long run
    assert len(answers) > 10


def test_of_two_traces_no_pair_of_patches_is_frequent():
    drawn = [ld.exercise("missing-patch", seed=seed).numbers for seed in range(800)]
    pairs = Counter((numbers["first"]["missing"], numbers["second"]["missing"]) for numbers in drawn)
    assert max(pairs.values()) < 0.15 * 800 and len(pairs) == 12
    assert all(first != second for first, second in pairs)


@pytest.mark.parametrize("name", ["who-owns", "which-exception", "host-reads"])
def test_no_word_is_right_for_more_than_two_pages_of_a_story(name):
    met = Counter()
    for seed in range(60):
        problem = ld.exercise(name, seed=seed)
        words = problem._solved.answer.split(", ")
        assert max(Counter(words).values()) == 2, (seed, words)
        met.update(words)
        for word in problem.family.choices:
            assert problem.check(repeated(problem, word)).points(2) == 0
    assert set(met) == set(problem.family.choices)


def test_words_beyond_what_a_blind_guess_gets_earn_points():
    problem = ld.exercise("who-owns", seed=1)
    right = problem._solved.answer.split(", ")
    for wrong, points in ((1, 1), (2, 0), (3, 0), (4, 0)):
        other = ["B" if word != "B" else "A" for word in right[:wrong]]
        assert problem.check([*other, *right[wrong:]]).points(2) == points
    assert problem.check(right).points(2) == 2


def test_a_time_under_the_lock_is_no_reboot_once_more():
    """Both are met: a guest whose memory has a hole, and one that has used all of it."""
    holes = Counter()
    for seed in range(40):
        problem = ld.exercise("lock-hold", seed=seed)
        numbers, costs = problem.numbers, ld.Costs(walk=problem.numbers["walk"])
        holes[numbers["used"] < 1] += 1
        entries = ld.units.size(numbers["memory"]) // 4096
        longest = max(numbers["batch"], round(entries * (1 - numbers["used"]))) * costs.walk
        assert problem.check(f"{longest} ns").right
    assert min(holes.values()) > 4


def test_more_vcpus_are_told_of_and_clean_no_faster():
    for seed in range(8):
        problem = ld.exercise("reboot-time", seed=seed)
        vcpus = problem.numbers["vcpus"]
        assert f"{vcpus} vCPUs" in problem.text
        wrong = problem.check(f"{problem._solved.answer / vcpus} ns")
        assert not wrong.right and "however many vCPUs" in wrong.hints[0]
    assert "entries × look + secure × destroy" in " ".join(problem.solution().steps)


def test_how_many_words_of_an_answer_are_right_is_told():
    problem = ld.exercise("who-owns", seed=1)
    right = problem._solved.answer.split(", ")
    wrong = ["B" if word != "B" else "A" for word in right]
    assert problem.check(right).right and problem.check(" , ".join(right)).right
    assert "3 of 4 are right" in problem.check([wrong[0], *right[1:]]).text
    with pytest.raises(ValueError, match="4 words with commas"):
        problem.check("A, B")


# Traces


@pytest.mark.parametrize("seeds", long_unless(lambda seeds: seeds < 10, "a search for each seed", (6, 30)))
def test_the_missing_patch_cannot_be_mistaken(seeds):
    """No two kernels that lack different patches are told by the same trace, and what it ends with says which it is."""
    told, ends = {}, {}
    for seed in range(seeds):
        problem = NumberExercise(MISSING_PATCH, seed)
        missing = problem.numbers["missing"]
        trace = searching._trace(problem.numbers)
        told.setdefault(str(trace), set()).add(missing)
        ends.setdefault(re.sub(r"0x\w{4,}|\b0x0\b", "", trace.violation), set()).add(missing)
    assert len(told) >= seeds * 2 // 3
    assert all(len(missing) == 1 for missing in (*told.values(), *ends.values()))


def test_the_last_line_does_not_tell_the_patch():
    """What came of it is not shown, and who does what in it is the same for different patches."""
    last = {}
    for seed in range(12):
        problem = NumberExercise(MISSING_PATCH, seed)
        trace = searching._trace(problem.numbers)
        shown = searching.shown(trace)
        assert shown in problem.text and trace.violation not in problem.text
        for told in ("0x3F", "SIGSEGV", "refused", "addressing"):
            assert told not in shown.splitlines()[-2]
        last.setdefault(re.sub(r"\d", "#", shown.splitlines()[-2][5:]), set()).add(problem.numbers["missing"])
    assert any({"3", "7"} <= missing for missing in last.values())


@pytest.mark.parametrize("seed", range(8))
def test_the_line_to_blame_is_where_the_page_came_to_its_owner(seed):
    problem = NumberExercise(MISSING_PATCH, seed)
    trace, missing = searching._trace(problem.numbers), problem.numbers["missing"]
    line = searching.blamed(trace, missing)
    assert 1 < line < len(trace.moments) and problem._solved.answer == f"{missing}, line {line}"
    assert problem.check([missing, line]).right and not problem.check([missing, line - 1]).right
    if missing == "6":
        assert "DESTROY_SEC_CONF" in trace.moments[line - 1].text
        return
    page = searching._page(trace)
    before, *since = (moment.rows[page]["owner"] for moment in trace.moments[line - 2 :])
    assert since[0] and len(set(since)) == 1 and before != since[0]


def test_of_two_traces_each_is_worth_half():
    problem = ld.exercise("missing-patch", seed=1)
    patch, line, *second = problem._solved.answer.split(", ")
    assert problem.check([patch, line, "3", "60"]).points(4) == 2
    assert problem.check([patch, "60", *second]).points(4) == 2
    assert problem.check([patch, "60", second[0], "60"]).points(4) == 0


@pytest.mark.parametrize("seed", range(4))
def test_the_missing_patch_is_what_does_the_harm(seed):
    """What was done step by step, done again on the kernel with the patch, does no harm."""
    numbers = NumberExercise(MISSING_PATCH, seed).numbers
    bounds = searching._bounds(searching.kernel_of(numbers), numbers)
    world = World(ld.series.v1_fixed, bounds)
    for action in searching._trace(numbers).actions:
        if world.wrong or action not in world.actions():
            break
        world.act(action)
    assert not world.wrong


@pytest.mark.parametrize("missing", ["4", "7"])
def test_a_walk_is_the_same_whether_its_steps_are_looked_up_or_run(missing):
    numbers = next(
        numbers for seed in range(100) if (numbers := NumberExercise(MISSING_PATCH, seed).numbers)["missing"] == missing
    )
    kernel = searching.kernel_of(numbers)
    learning, running = (searching._Walks(kernel, searching._bounds(kernel, numbers), missing) for _ in range(2))
    running.learn = False
    drawn = Draw("walk", numbers["walk"])
    found = [[walks.drawn(drawn, attempt, 30) for attempt in range(12)] for walks in (learning, running)]
    assert found[0] == found[1] and any(found[0])
    assert learning.learn and learning.done < running.done / 2


def test_the_traces_of_the_missing_patch_are_printed_in_no_lesson():
    printed = [
        " ".join("".join(output.get("text", output.get("data", {}).get("text/plain", ""))).split())
        for path in sorted((Path(__file__).parent.parent / "notebooks").rglob("*.ipynb"))
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", ())
        if "missing-patch" not in cell["id"] and "missing" not in cell["id"]
    ]
    for seed in range(8):
        story = " ".join(str(searching._trace(NumberExercise(MISSING_PATCH, seed).numbers)).split())
        assert not any(story in text for text in printed)


# Progress


def test_progress_shows_what_was_tried_and_what_was_solved():
    problem = ld.exercise("reboot-time", seed=1)
    assert "no exercise" in repr(ld.progress())
    problem.check(1)
    assert not ld.progress()["reboot-time, seed 1"].solved
    problem.check(exact(problem))
    problem.check(1)
    assert ld.progress().solved == ("reboot-time, seed 1",)
    assert ld.progress()["reboot-time, seed 1"].tries == 2
    assert "solved, 2 tries" in repr(ld.progress()) and "<td>solved, 2 tries</td>" in ld.progress()._repr_html_()


def in_a_new_session(monkeypatch):
    """As if another notebook had been opened."""
    monkeypatch.setattr(session, "_SESSION", None)


def test_a_quizs_score_stands_beside_the_exercises(monkeypatch):
    ld.exercise("reboot-time", seed=1).check(1)
    for number, right in ((1, True), (2, False), (2, True), (2, True), (3, False)):
        session.note_question("no-such-quiz", number, right)
    assert ld.progress().quizzes == {"no-such-quiz": (2, 1, 3)}
    assert list(ld.progress()) == ["reboot-time, seed 1"] and len(ld.progress()) == 1
    summary, *rows = repr(ld.progress()).splitlines()
    assert summary.startswith(
        "0 of 1 exercises solved, 2 of 3 questions answered correctly (kept in this session only;"
    )
    assert rows == [
        "  reboot-time, seed 1  not yet, 1 try",
        "  quiz no-such-quiz    2 of 3 right, 1 at the first try",
    ]


def test_progress_is_kept_from_one_notebook_to_the_next(tmp_path, monkeypatch):
    monkeypatch.setenv("LAZYDESTROY_PROGRESS", "")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    in_a_new_session(monkeypatch)
    problem = ld.exercise("reboot-time", seed=1)
    problem.check(1)
    in_a_new_session(monkeypatch)
    problem.check(exact(problem))
    file = tmp_path / "lazydestroy" / "progress.json"
    assert json.loads(file.read_text()) == {"reboot-time, seed 1": {"tries": 2, "solved": True}}
    assert f"kept in {file}; ld.progress(file=False) ends that" in repr(ld.progress())
    ld.progress(file=False)
    ld.exercise("reboot-time", seed=2).check(1)
    assert len(ld.progress()) == 2 and len(json.loads(file.read_text())) == 1
    assert len(ld.progress(file=True)) == 2 and len(json.loads(file.read_text())) == 2


def test_without_xdg_the_file_is_in_the_home(tmp_path, monkeypatch):
    for name in ("LAZYDESTROY_PROGRESS", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    in_a_new_session(monkeypatch)
    assert ld.progress().file == tmp_path / ".local" / "state" / "lazydestroy" / "progress.json"
    assert "kept in ~/.local/state/lazydestroy/progress.json" in repr(ld.progress())


def test_a_variable_names_the_file_or_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    in_a_new_session(monkeypatch)
    ld.exercise("reboot-time", seed=1).check(1)
    assert ld.progress().file is None and list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="file=True: LAZYDESTROY_PROGRESS is off"):
        ld.progress(file=True)
    monkeypatch.setenv("LAZYDESTROY_PROGRESS", "mine.json")
    in_a_new_session(monkeypatch)
    ld.exercise("reboot-time", seed=1).check(1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


def test_in_jupyterlite_it_is_where_the_browser_keeps_it(tmp_path, monkeypatch):
    monkeypatch.delenv("LAZYDESTROY_PROGRESS", raising=False)
    monkeypatch.setattr(kept, "BROWSERS_DRIVE", tmp_path)
    assert kept.usual_file() != tmp_path / "progress.json"
    monkeypatch.setattr(sys, "platform", "emscripten")
    assert kept.usual_file() == tmp_path / "progress.json"
    monkeypatch.setattr(kept, "BROWSERS_DRIVE", tmp_path / "gone")  # Python in a page that is no JupyterLite
    assert kept.usual_file() != tmp_path / "gone" / "progress.json"


def test_where_the_usual_file_cannot_be_it_does_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    for name in ("file/progress.json", "file"):
        monkeypatch.setenv("LAZYDESTROY_PROGRESS", str(tmp_path / name))
        in_a_new_session(monkeypatch)
        assert ld.progress().file is None
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_later_session_goes_on_with_the_file(tmp_path, monkeypatch):
    file = tmp_path / "mine.json"
    ld.progress(file=file)
    ld.exercise("reboot-time", seed=1).check(1)
    monkeypatch.setattr(session, "_SESSION", Progress())
    problem = ld.exercise("reboot-time", seed=1)
    problem.check(exact(problem))
    assert ld.progress(file=str(file))["reboot-time, seed 1"].tries == 2
    assert json.loads(file.read_text())["reboot-time, seed 1"]["solved"]


@pytest.mark.parametrize("locks", [True, False])
def test_two_notebooks_at_a_time_share_a_file(tmp_path, monkeypatch, locks):
    if not locks:
        monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows: importing it fails
    file = tmp_path / "both.json"
    one, other = Progress(), Progress()
    one.keep(file)
    other.keep(file)
    one.note("a", False)
    other.note("b", True)
    one.note("c", True)
    other.note("a", True)
    expected = {"a": (2, True), "b": (1, True), "c": (1, True)}
    kept = json.loads(file.read_text())
    assert {name: (each["tries"], each["solved"]) for name, each in kept.items()} == expected
    assert {name: (other[name].tries, other[name].solved) for name in other} == expected
    assert [path.name for path in tmp_path.iterdir()] == ["both.json"]


def test_no_try_is_lost_when_sessions_write_at_the_same_time(tmp_path):
    file = tmp_path / "all.json"
    code = (
        "import sys; from pathlib import Path; from lazydestroy.exercises.session import Progress\n"
        "mine = Progress(); mine.keep(Path(sys.argv[1])); sys.stdin.read(1)\n"
        "for turn in range(40): mine.note('shared', False); mine.note(f'{sys.argv[2]}, seed {turn}', True)"
    )
    sessions = [
        subprocess.Popen([sys.executable, "-c", code, file, str(number)], stdin=subprocess.PIPE) for number in range(3)
    ]
    for each in sessions:
        each.stdin.write(b"!")
        each.stdin.flush()
    assert [each.wait(60) for each in sessions] == [0, 0, 0]
    kept = json.loads(file.read_text())
    assert len(kept) == 1 + 3 * 40
    assert kept["shared"] == {"tries": 3 * 40, "solved": False}


def test_a_file_that_is_named_twice_counts_once(tmp_path):
    file = tmp_path / "mine.json"
    ld.progress(file=file)
    ld.exercise("reboot-time", seed=1).check(1)
    for _ in range(3):
        assert ld.progress(file=file)["reboot-time, seed 1"].tries == 1


def test_an_answer_is_judged_even_if_the_file_is_gone_bad(tmp_path):
    file = tmp_path / "mine.json"
    ld.progress(file=file)
    file.write_text("something else")
    with pytest.warns(UserWarning, match=r"in this session only: .*no file of progress"):
        assert not ld.exercise("reboot-time", seed=1).check(1)
    assert ld.progress()["reboot-time, seed 1"].tries == 1
    assert file.read_text() == "something else"


def test_an_answer_counts_once_though_there_is_no_room_for_it_in_the_file(tmp_path, monkeypatch):
    ld.progress(file=tmp_path / "mine.json")

    def full(file, tried):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lazydestroy.exercises.session.write_tries", full)
    for tries in (1, 2):
        with pytest.warns(UserWarning, match="in this session only: .*No space left"):
            assert not ld.exercise("reboot-time", seed=1).check(1)
        assert ld.progress()["reboot-time, seed 1"].tries == tries


@pytest.mark.parametrize("file", [5, "", b"mine.json", [], "a\0b", Path(), object(), 1.5])
def test_what_is_no_name_of_a_file_is_refused(file):
    with pytest.raises(ValueError, match=r"^file=.*: use "):
        ld.progress(file=file)


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"^file=.*No such file or directory; name another one"):
        ld.progress(file=tmp_path / "nowhere" / "mine.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": {"tries": "x", "solved": true}}', "null"])
def test_a_file_that_is_something_else_is_left_alone(tmp_path, text):
    file = tmp_path / "notes.json"
    file.write_text(text)
    with pytest.raises(ValueError, match="no file of progress"):
        ld.progress(file=file)
    assert file.read_text() == text


def test_the_public_names_are_there():
    assert ld.exercise is exercises.exercise and ld.progress is exercises.progress
    assert set(ld.exercises.EXERCISES) >= {family.name for family in FAMILIES}


@pytest.mark.parametrize("name", ["x" * 300, "\ud800", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name):
    with pytest.raises(ValueError, match=r"file=.*: use the name of a file; this cannot be one"):
        ld.progress(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_or_a_device_is_not_read(tmp_path):
    """It may have no end, and a pipe has nothing until somebody writes."""
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match=r"file=.*: this is no ordinary file; name another one"):
            ld.progress(name)


def test_the_home_of_nobody_keeps_nothing(monkeypatch):
    monkeypatch.setenv("LAZYDESTROY_PROGRESS", "~nobody-of-that-name/progress.json")
    assert kept.usual_file() is None


@pytest.mark.parametrize("name", ld.exercises.EXERCISES)
def test_a_pickled_exercise_is_the_same_exercise(name):
    problem = ld.exercise(name)
    again = pickle.loads(pickle.dumps(problem))
    assert again.text == problem.text and getattr(again, "numbers", None) == getattr(problem, "numbers", None)
