"""Grading an answer's text: what it may use, what is read of a notebook, and what comes of it elsewhere."""

import ast
import errno
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import lazydestroy as ld
from lazydestroy import errnos
from lazydestroy.exercises.families import FAMILIES
from lazydestroy.exercises.patches import PATCHES, p04
from lazydestroy.grade import main
from lazydestroy.grading import isolation, landlock
from lazydestroy.grading.allowed import MODULES, refusal
from lazydestroy.grading.calculating import text_of
from lazydestroy.grading.handed_in import Cell, needed, of_notebook, unannotated
from lazydestroy.grading.judge import _number_judged, judge
from lazydestroy.grading.sheets import SHEETS
from lazydestroy.kernel import structs
from tests import submissions
from tests.release_exercises import SOURCE

KEY = Path(ld.__path__[0], "exercises", "families", "counts.py")

HEAD = "from errno import EIO\nfrom lazydestroy import UVC\nfrom lazydestroy.kernel.structs import Answer\n"


BINDING = (
    "def handle_mm_fault(self, *_): pass",
    "if True:\n  def handle_mm_fault(self, *_): pass",
    "handle_mm_fault = get_page = None",
    "for handle_mm_fault in (): pass",
    "from math import log as handle_mm_fault",
    "class handle_mm_fault: pass",
    "def f(self, given=(handle_mm_fault := print)): pass",
    "f = lambda self, given=(handle_mm_fault := print): 1",
    "match 1:\n  case handle_mm_fault: pass",
)
"""All ways in which a class gets an attribute of a name that belongs to the kernel."""


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.name)
def test_every_solution_may_be_run(patch):
    assert refusal(HEAD + submissions.text_of(patch.model_answer), patch) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import os", "imports os"),
        ("from lazydestroy import series", "imports series"),
        ("from lazydestroy.exercises.patches import p04", "imports p04"),
        ("MyPatch = ld.series.v1[4].layer", "uses ld"),
        ("x = eval('1')", "uses eval"),
        ("x = ().__class__", "uses .__class__"),
        ("x = (i for i in ()).gi_frame", "uses .gi_frame"),
        ("x = __builtins__", "uses __builtins__"),
        ("class A:\n def __eq__(self, other): return True", "writes __eq__"),
        ("class A:\n if True:\n  def __eq__(self, other): return True", "writes __eq__"),
        ("class A:\n from math import log as __eq__", "writes __eq__"),
        ("class A:\n class __eq__: pass", "writes __eq__"),
        ("class A(metaclass=print): pass", "keyword"),
        ("class A:\n def f(self): return self.machine", "of self.machine"),
        ("class A:\n def f(self): self.machine.uv.access = print", "of self.machine"),
        ("class A:\n def uv(self): pass\n def f(self, k): return k.uv", "use another name"),
        ("class A:\n def f(self, kvm): kvm.mm.guest.memory.free", "uses .memory"),
        ("class A:\n def f(self, kvm): kvm.mm.freed = False", "sets .freed"),
        ("class A:\n def f(self): self.get_page = print", "sets .get_page"),
        ("class A:\n def f(self, mm): m = mm; self._context = m._context", "use another name"),
        ("class A:\n def f(self): self.lazy_destroy = 0", "use another name"),
        ("from lazydestroy import UVC\nu = UVC.INIT_UV\nu._value_ = 1", "use another name"),
        ("class A:\n def f(self): return '{0.machine}'.format(self)", "uses .format"),
        ("class A:\n def f(self): return '{:{0[x]}}'.format_map(self)", "uses .format"),
        ("list(map(str.format, ['{0.machine}'], [1]))", "uses .format"),
        *((f"class A:\n {text}", "replaces handle_mm_fault") for text in BINDING),
        ("match 1:\n case int(__class__=x): pass", "uses .__class__"),
        ("async def f(): pass", "async"),
        ("def f(:", "no Python"),
    ],
)
def test_what_leads_to_the_judge_is_refused(text, why):
    assert why in refusal(text, p04.EXERCISE)


def test_what_a_kernel_does_is_not():
    text = """
import math
class MyPatch:
    met = 0
    def __init__(self):
        pass
    def helps(self, page, get_page=None):
        handle_mm_fault = [get_page for get_page in ()]
        print("{} of {:.2f}".format(page, 1.5))
        self.met += 1
        return {"it": [page.paddr, page.refs]}.get("it")
    def do_secure_storage_access_gmap(self, kvm, gaddr):
        page = self.gmap_page(kvm.gmap, gaddr)
        if page is not None and math.log2(len(self.helps(page))) == 1:
            try:
                page.arch_1 = False
            except AttributeError as error:
                print(error.args)
        return super().do_secure_storage_access_gmap(kvm, gaddr)
"""
    assert refusal(text, p04.EXERCISE) == ""


def test_what_an_answer_writes_into_what_it_imports_is_not_seen_by_the_judge(monkeypatch):
    monkeypatch.setattr(MODULES["lazydestroy.kernel.structs"].Answer, "rc", 7, raising=False)
    for module in MODULES.values():
        for name in list(vars(module)):
            monkeypatch.setattr(module, name, None)
    assert math.ceil(0.5) == next(itertools.count(1)) == 1
    assert errno.EIO == errnos.EIO == 5 and ld.UVC.INIT_UV and structs.Answer().rc == 0


def test_a_report_without_the_secret_is_not_believed():
    line = json.dumps({"share": 1.0}).encode()
    signed = isolation.signature("secret", line) + b" " + line
    assert isolation._authentic(signed, "secret") == [{"share": 1.0}]
    for forged in (line, b"0" * 64 + b" " + line, isolation.signature("guessed", line) + b" " + line):
        assert isolation._authentic(forged, "secret") == []


def test_one_right_answer_is_judged_elsewhere():
    marks = judge(of_notebook(submissions.notebook("patch-4", {"patch-4": submissions.RIGHT_4})), ["patch-4"], "ada")
    assert marks["patch-4"].share == 1 and "does what the patch is for" in marks["patch-4"].said


def test_numbers_are_calculated_with_the_students_seed_and_without_the_exercise(tmp_path):
    answers = submissions.in_units("ada") | {
        "one-in-510": "answer = one_in_510.check(1) or open('/etc/hostname').read()",
        "donated-storage": "import subprocess\nanswer = subprocess.run(['true'])",
    }
    handed_in = of_notebook(submissions.notebook("3-counts", answers, student="ada"))
    marks = judge(handed_in, submissions.COUNTS, "ada")
    assert {name: mark.share for name, mark in marks.items()} == {
        "uvc-counts": 1,
        "one-in-510": 0,
        "donated-storage": 0,
        "out-of-memory": 1,
    }
    assert "cannot be opened" in marks["one-in-510"].said
    assert "not there when you are graded" in marks["donated-storage"].said


@pytest.mark.parametrize(
    "attempts",
    [
        (
            f"import os\nos.open({str(KEY)!r}, os.O_RDONLY)",
            f"import os\nos.open({str(KEY.with_name('mine.py'))!r}, os.O_WRONLY | os.O_CREAT)",
            f"open({str(Path(__file__).parents[1] / 'pyproject.toml')!r})",
            "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9, 9))",
        ),
        (
            "import subprocess\nsubprocess._posixsubprocess = None\nsubprocess._fork_exec()",
            "import _cffi_backend",
            "import readline",
            "import sqlite3\nsqlite3.connect('mine.db')",
        ),
        (
            "import _posixsubprocess\n_posixsubprocess.fork_exec()",
            "import _xxsubinterpreters",
            "import _interpreters",
            "from ctypes import pythonapi\npythonapi.PyRun_SimpleString",
        ),
    ],
    ids=["files", "native code", "interpreters"],
)
def test_a_cell_that_calculates_gets_neither_out_nor_at_the_answers(attempts):
    answers = {name: text.replace("answer", "got_out") for name, text in zip(submissions.COUNTS, attempts, strict=True)}
    marks = judge(of_notebook(submissions.notebook("3-counts", answers, student="ada")), submissions.COUNTS, "ada")
    for name, mark in marks.items():
        assert mark.share == 0 and ("not there when" in mark.said or "cannot be opened" in mark.said), (name, mark.said)
    assert not KEY.with_name("mine.py").exists()


def test_what_calculates_may_still_draw_and_read_what_python_has():
    text = "import matplotlib.pyplot as plt, subprocess, json.tool\nplt.plot([1])\nplt.close()\n"
    answers = submissions.in_units("ada")
    answers["uvc-counts"] = text + answers["uvc-counts"]
    marks = judge(of_notebook(submissions.notebook("3-counts", answers, student="ada")), submissions.COUNTS, "ada")
    assert all(mark.share == 1 for mark in marks.values()), marks


NATIVE = """
import ctypes, errno, os, sys
from lazydestroy.grading.landlock import confine, pythons_own
confined = confine([*pythons_own(), sys.argv[1]], [sys.argv[1] + "/exercises"])
libc = ctypes.CDLL(None, use_errno=True)
def opened(path, flags=0):
    return "ok" if libc.open(os.fsencode(path), flags, 0o600) >= 0 else errno.errorcode[ctypes.get_errno()]
package = sys.argv[1]
found = [opened(package + "/units.py"), opened(package + "/exercises/task.py"), opened("/etc/hostname")]
found += [opened(package + "/units.py", os.O_RDWR), opened("mine.txt", os.O_CREAT | os.O_WRONLY)]
arguments = (ctypes.c_char_p * 2)(b"true", None)
libc.execv(os.fsencode(sys.executable), arguments)
print(confined, *found, errno.errorcode[ctypes.get_errno()])
"""


def test_linux_keeps_native_code_from_the_answers_as_well(tmp_path):
    if landlock._version() < 1:
        pytest.skip("this system has no Landlock (Linux 5.13 and later)")
    package = str(KEY.parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", NATIVE, package], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert ran.stdout.split() == ["True", "ok", *["EACCES"] * 5], ran.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_what_is_told_when_graded_is_plain_and_does_not_have_the_answer(family):
    problem = ld.exercise(family.name, seed="eve")
    assert text_of(problem.told)
    if family.choices:
        assert problem._solved.answer not in problem.told.values()


def test_of_other_cells_only_what_an_answer_uses_comes_along():
    cells = (
        Cell("", "from lazydestroy import UVC, Costs\nprint(ld.reboot('1 GiB'))"),
        Cell("", "def helps(page):\n    return LIMIT\nLIMIT = 3\nunused = 5"),
        Cell("patch-4", "class MyPatch:\n    def f(self, page):\n        return helps(page)"),
    )
    text = needed(cells, "patch-4")
    assert "def helps" in text and "LIMIT = 3" in text
    assert "unused" not in text and "reboot" not in text and "import" not in text


@pytest.mark.parametrize("line", ["LIMIT: int = 3", "LIMIT, OTHER = 3, 4", "[LIMIT, *_] = 3, 4", "a = LIMIT = 3"])
def test_a_value_comes_along_however_it_got_its_name(line):
    cells = Cell("", line), Cell("patch-4", "class MyPatch:\n    limit = LIMIT")
    assert ast.unparse(unannotated(ast.parse(line))) in needed(cells, "patch-4")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("answer = (7\n  % 4)", "answer = (7\n  % 4)"),
        ('answer = """\n%d?\n!x\n"""', 'answer = """\n%d?\n!x\n"""'),
        ("%%time\nanswer = 1", "pass\nanswer = 1"),
        ("answer = 1\nuvc_counts?", "answer = 1\npass"),
        ("answer = 1\n?uvc_counts\nuvc_counts.check??", "answer = 1\npass\npass"),
        ("files = !ls\nanswer = 1", "pass\nanswer = 1"),
        ("t = %timeit -o f()\nanswer = 1", "pass\nanswer = 1"),
        ("if True:\n    !ls\nanswer = 1", "if True:\n    pass\nanswer = 1"),
        ("%%time\r\nanswer = 1\r\n", "pass\nanswer = 1\n"),
        ("answer = 1  # or 2?\n%matplotlib inline", "answer = 1  # or 2?\npass"),
    ],
)
def test_only_what_is_no_python_is_taken_for_ipythons(text, read):
    made = submissions.notebook("3-counts", {"uvc-counts": text})
    cell = next(cell for cell in of_notebook(made).cells if cell.name == "uvc-counts")
    assert cell.text == read


def test_what_is_nested_or_long_without_measure_harms_nobody():
    deep = "x = " + "-" * 100_000 + "1\n"
    assert needed((Cell("", deep), Cell("patch-4", deep)), "patch-4") == deep
    assert "nested too deeply" in refusal(deep, p04.EXERCISE)
    long = submissions.notebook("patch-4", {"patch-4": submissions.RIGHT_4}, first="x = 1\n" * 200_000)
    cells = of_notebook(long).cells
    assert len(cells[0].text) < 200 and cells[-1].text == submissions.RIGHT_4


def test_a_right_answer_counts_in_a_cell_of_text_and_with_any_encoding_declared():
    made = submissions.notebook("patch-4", {"patch-4": "# -*- coding: utf-16 -*-\n" + submissions.RIGHT_4})
    cell = next(cell for cell in made.cells if cell.metadata.get("nbgrader", {}).get("solution"))
    cell.cell_type = "markdown"
    assert judge(of_notebook(made), ["patch-4"], "ada")["patch-4"].share == 1


def test_the_sheets_are_the_notebooks_that_are_handed_out():
    for sheet in SHEETS:
        source = nbformat.read(SOURCE / sheet.assignment / f"{sheet.notebook}.ipynb", as_version=4)
        marks = [cell.metadata.nbgrader for cell in source.cells if "nbgrader" in cell.metadata]
        points = {mark.grade_id.removesuffix("-points"): mark.points for mark in marks if mark.grade}
        assert points == dict(sheet.worth)
        assert {f"{name}-answer" for name in points} == {mark.grade_id for mark in marks if mark.solution}
    handed_out = {path.stem for path in SOURCE.rglob("*.ipynb")} - {"experiment"}
    assert {sheet.notebook for sheet in SHEETS} == handed_out


def test_a_notebook_is_graded_by_itself(tmp_path, capsys):
    file = tmp_path / "patch-4 (2).ipynb"
    made = submissions.notebook("patch-4", {"patch-4": submissions.IDLE}, copied="patch-4")
    made.cells[-1].outputs = []
    nbformat.write(made, file)
    assert main([str(file), "--student", "ada", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["notebook"], report["student"], report["points"], report["max_points"]) == ("patch-4", "ada", 0, 10)
    assert "more than once" in report["remarks"][0]


@pytest.mark.parametrize("content", ["", "[]", '{"cells": []}', "{}"])
def test_what_is_no_submission_is_refused(tmp_path, capsys, content):
    file = tmp_path / "it.ipynb"
    file.write_text(content)
    assert main([str(file)]) == 2
    assert "file=" in (said := capsys.readouterr().err) and ("no notebook" in said or "no answer" in said)


def test_who_the_student_is(monkeypatch, capsys):
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    assert ld.exercises.student("ada") == "ada" and capsys.readouterr().out == ""
    assert ld.exercises.student(4711) == "4711"
    assert ld.exercises.student(" ADA ") == "ada"
    ld.exercises.student("your student id")
    assert "not graded" in capsys.readouterr().out
    monkeypatch.setenv("JUPYTERHUB_USER", "bob")
    assert ld.exercises.student("ada") == "bob" and "not of ada" in capsys.readouterr().out
    assert ld.exercises.student("your student id") == "bob" and capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="use your student id"):
        ld.exercises.student(None)


@pytest.mark.parametrize("typed", ["ada", "ADA", "Ada ", "lea"])
def test_blanks_and_capitals_of_an_id_do_not_matter_and_another_id_is_told(typed):
    made = submissions.notebook("3-counts", submissions.in_units("ada"), student=typed)
    marks = judge(of_notebook(made), submissions.COUNTS, "Ada").values()
    assert all(mark.share == 1 for mark in marks)
    told = {mark.whose for mark in marks}
    assert told == {"The notebook has the problems of 'lea'; these are those of 'Ada'." if typed == "lea" else ""}


def test_nothing_of_the_environment_is_known_there(monkeypatch):
    monkeypatch.setenv("A_SECRET", "x")
    assert "A_SECRET" not in isolation._environment("/tmp") and "A_SECRET" in os.environ


def test_tries_are_counted_where_a_teacher_sees_them():
    problem = ld.exercise("flat-floor", seed="somebody who tries")
    first, second = problem.check("1 s"), problem.check("2 s")
    assert "try" not in repr(first) and "(try 2)" in repr(second) and "(try 2)" in second._repr_html_()
    made = submissions.notebook("3-counts", {})
    checks = [cell for cell in made.cells if cell.id == "uvc-counts-check"]
    said = repr(second).replace("flat-floor", "uvc-counts")
    checks[0].outputs = [nbformat.v4.new_output("execute_result", data={"text/plain": said})]
    assert of_notebook(made).tries == {"uvc-counts": 2}


def test_an_answer_that_is_right_in_part_gets_a_part_of_the_points():
    problem = ld.exercise("who-owns", seed="eve")
    *right, last = problem._solved.answer.split(", ")
    value = ", ".join([*right, "A" if last != "A" else "B"])
    mark = _number_judged(problem, {"value": value}, "")
    assert mark.share == 0.5 and "3 of 4 are right" in mark.said
    refused = _number_judged(ld.exercise("donated-storage", seed="eve"), {"value": "129.25 MB"}, "")
    assert refused.share == 0 and "did you mean '129.25 MiB'" in refused.said


def test_what_is_no_part_of_an_answer_is_left_out_and_an_import_that_is_the_answer_is_not():
    text = "import time\n@print\nclass MyPatch:\n    pass\n\nfeedback = patch.check(MyPatch)\nfeedback"
    assert needed((Cell("patch-4", text),), "patch-4") == "\n@print\nclass MyPatch:\n    pass\n\n\n"
    imported = "from lazydestroy.exercises.patches.p04 import ModelAnswer as MyPatch"
    assert needed((Cell("patch-4", imported),), "patch-4") == imported
    assert "it imports ModelAnswer" in refusal(imported, p04.EXERCISE)
    assert needed((Cell("patch-4", "import time; x = 1"),), "patch-4") == "import time; x = 1"
