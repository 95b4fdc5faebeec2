"""``python -m lazydestroy``: the list, an answer, and one clear line with exit status 2 for what cannot be done."""

from __future__ import annotations

import ast
import errno
import importlib
import inspect
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy import saying
from lazydestroy.__main__ import kernel, main, value

SMALL = ["--memory", "64 MiB", "--low-memory", "16 MiB"]


def refused(capsys, *arguments: str) -> str:
    """The line on standard error of a call that ends with status 2 and prints nothing else."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    assert ended.value.code == 2
    assert said.out == ""
    assert said.err.startswith("lazydestroy: ")
    assert said.err.count("\n") == 1
    return said.err


def test_without_a_number_it_lists_the_questions(capsys):
    assert main([]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for each in ld.QUESTIONS:
        assert f"{each.number} {each.asks} ({each.who})" in text


def test_from_a_shell_it_ends_with_status_0_and_prints_the_answer():
    command = [sys.executable, "-m", "lazydestroy", "1", *SMALL, "--destroy", "2 us"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    given = {"memory": "64 MiB", "low_memory": "16 MiB", "costs": ld.Costs(destroy="2 us")}
    expected = ld.ask(1, **given)
    assert ran.stdout.startswith(f"{expected.short}\n")
    printed = " ".join(ran.stdout.split())
    assert all(f"* {detail}" in printed for detail in expected.details)
    assert expected.reproduce() in ran.stdout


def test_from_a_shell_a_wrong_argument_ends_with_status_2():
    ran = subprocess.run([sys.executable, "-m", "lazydestroy", "99"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "lazydestroy: number=99: use the number of a question, 1 to 15\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0"], "1 to 15"),
        (["three"], "'three' is not the number of a question"),
        (["3.5"], "'3.5' is not the number of a question"),
        (["3", "4"], "unrecognized arguments: 4"),
        (["1", "--memory", "64 GB"], "did you mean '64 GiB'"),
        (["1", "--memory"], "expected one argument"),
        (["1", "--colour", "red"], "unrecognized arguments: --colour red"),
        (["1", "--mem", "1 GiB"], "unrecognized arguments: --mem 1 GiB"),
        (["1", "--destroy", "2 parsec"], "destroy="),
        (["1", "--kernel", "v7"], "kernel='v7': use before, v1, v1_fixed"),
        (["1", "--kernel", "v1.upto(99)"], "upto(99): use a number from 0 to 11"),
        (["1", "--kernel", "v1.without(8)"], "could not be compiled"),
        (["1", "--kernel", "__import__('os')"], "use before, v1, v1_fixed"),
        (["1", "--touch", "sideways"], "touch='sideways'"),
        (["1", "--memory", "1000 TiB"], "memory="),
        (["3", "--rates", "soon"], "rates"),
        (["1", "--kernel", "none"], "use before, v1, v1_fixed"),
        (["--memory", "1 GiB"], "give the number of a question first"),
        (["1", "--kernel", "before", "--lazy-destroy", "0"], "does not have the module parameter"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(capsys, arguments, words):
    assert words in refused(capsys, *arguments)


def test_help_names_the_parameters_of_a_question_and_the_costs(capsys):
    assert main(["3", "--help"]) == 0
    text = capsys.readouterr().out
    for option in ("--memory", "--kernel", "--rates", "--destroy", "--host-memory"):
        assert option in text
    assert main(["--help"]) == 0


def test_a_cost_that_is_called_like_a_parameter_has_an_option_of_its_own(capsys):
    assert main(["1", *SMALL, "--touch", "reverse", "--touch-cost", "1 us"]) == 0
    assert "touch='reverse', low_memory='16 MiB', costs=ld.Costs(touch='1 us')" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("before", ld.series.v1.upto(0)),
        ("v1", ld.series.v1),
        ("ld.series.v1", ld.series.v1),
        ("v1_fixed", ld.series.v1_fixed),
        ("v1.upto(7)", ld.series.v1.upto(7)),
        ("v1.without(3, 4)", ld.series.v1.without(3, 4)),
        ("v1_fixed.without(3)", ld.series.v1_fixed.without(3)),
    ],
)
def test_kernels_are_read_as_they_are_written(text, expected):
    assert kernel(text) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory", "64 GiB", "64 GiB"),
        ("memory", "4096", 4096),
        ("used", "0.5", 0.5),
        ("wait_for_cleanup", "true", True),
        ("host_memory", "none", None),
        ("rates", "1 GiB/s, 2 GiB/s", ("1 GiB/s", "2 GiB/s")),
    ],
)
def test_values_are_read_as_numbers_words_or_lists(name, text, expected):
    assert value(name, text) == expected


def test_none_is_a_word_where_that_is_meant(capsys):
    assert main(["1", *SMALL, "--touch", "none"]) == 0
    assert "touch='none'" in capsys.readouterr().out


def test_one_pace_is_enough(capsys):
    assert main(["3", "--memory", "16 MiB", "--rates", "1 GiB/s"]) == 0
    assert "rates='1 GiB/s'" in capsys.readouterr().out


def test_whoever_reads_may_stop_reading():
    command = f"{sys.executable} -m lazydestroy 2 | head -1"
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ran.stderr == ""


def test_the_picture_can_be_saved(tmp_path, capsys):
    file = tmp_path / "answer.png"
    assert main(["1", *SMALL, "--plot", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_saved_is_refused_before_anything_is_computed(tmp_path, capsys, monkeypatch):
    def never(*arguments, **given):
        pytest.fail("it was computed")

    monkeypatch.setattr("lazydestroy.__main__.ask", never)
    assert "No such file" in refused(capsys, "1", *SMALL, "--plot", str(tmp_path / "nowhere" / "answer.png"))
    assert "Is a directory" in refused(capsys, "1", *SMALL, "--plot", str(tmp_path))
    for name in ("answer.pdf", "answer.svg", "answer.jpg"):
        assert "use a name that ends in .png" in refused(capsys, "1", *SMALL, "--plot", str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


def test_a_question_that_is_refused_leaves_no_empty_picture(tmp_path, capsys):
    refused(capsys, "1", "--memory", "64 GB", "--plot", str(tmp_path / "answer.png"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.png").write_bytes(b"old")
    refused(capsys, "1", "--memory", "64 GB", "--plot", str(tmp_path / "old.png"))
    assert (tmp_path / "old.png").read_bytes() == b"old"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_the_answer_is_printed_whatever_the_terminal_can_write(encoding):
    command = [sys.executable, "-m", "lazydestroy", "7", *SMALL]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ran = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")
    expected = ld.ask(7, memory="64 MiB", low_memory="16 MiB").text()
    assert "µs" in expected
    assert ran.stdout.decode(encoding).startswith(expected.replace("µ", "u") if encoding == "ascii" else expected)


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lazydestroy {ld.__version__}\n"


def test_what_a_question_does_not_take_leads_to_its_help(capsys):
    said = refused(capsys, "12", "--memory", "1 GiB")
    assert "unrecognized arguments: --memory 1 GiB" in said
    assert "python -m lazydestroy 12 --help lists what question 12 takes" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [[], ["1", *SMALL], ["--version"], ["--help"], ["3", "--help"]])
def test_a_full_disk_is_said_in_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "lazydestroy", *arguments]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 2
    expected = "lazydestroy: the answer cannot be written to standard output: No space left on device\n"
    assert ran.stderr == expected


PROGRAMS = [
    str(file.relative_to(Path(ld.__path__[0]).parent).with_suffix("")).replace(os.sep, ".").removesuffix(".__main__")
    for file in sorted(Path(ld.__path__[0]).rglob("*.py"))
    if "ArgumentParser" in file.read_text(encoding="utf-8")
]
"""What is started with ``python -m`` and reads a command line."""


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_ends_without_a_traceback(name):
    assert len(PROGRAMS) >= 5
    where = importlib.import_module(f"{name}.__main__" if name == "lazydestroy" else name)
    assert hasattr(where.main, "__wrapped__"), f"{name}.main is no lazydestroy.saying.program"
    printing = {node.func.id for node in ast.walk(ast.parse(inspect.getsource(where.main.__wrapped__))) if _calls(node)}
    to_stdout = [line for line in inspect.getsource(where).splitlines() if re.search(r"\bprint\(", line)]
    assert "print" not in printing or all("file=sys.stderr" in line for line in to_stdout), to_stdout


def _calls(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "it: interrupted\n"),
        (OSError(errno.ENOSPC, "full"), 2, "it: the answer cannot be written to standard output: full\n"),
        (OSError(errno.EPIPE, "gone"), 1, ""),
    ],
    ids=["interrupted", "full", "nobody reads"],
)
def test_a_program_ends_with_a_status_and_at_most_a_line(monkeypatch, capsys, raised, status, said):
    class Stdout(io.StringIO):
        def write(self, text):
            raise raised

        def fileno(self):
            return os.open(os.devnull, os.O_WRONLY)

    @saying.program("it")
    def run(text):
        saying.say(text)
        return 0

    monkeypatch.setattr(sys, "stdout", Stdout())
    assert run("µ") == status
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_names_of_students_are_printed_whatever_the_terminal_can_write(monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    saying.say("Łukasz has 10 µs")
    expected = {"ascii": b"\\u0141ukasz has 10 us\n", "latin-1": b"\\u0141ukasz has 10 us\n"}
    assert written.getvalue() == expected[encoding]
