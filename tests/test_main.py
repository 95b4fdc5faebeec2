"""``python -m lazydestroy``: the list, an answer, and one clear line with exit status 2 for what cannot be done."""

from __future__ import annotations

import subprocess
import sys

import pytest

import lazydestroy as ld
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


def test_without_a_number_it_lists_the_twelve_questions(capsys):
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
    assert expected.verdict in " ".join(ran.stdout.split())
    assert expected.reproduce() in ran.stdout


def test_from_a_shell_a_wrong_argument_ends_with_status_2():
    ran = subprocess.run([sys.executable, "-m", "lazydestroy", "99"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "lazydestroy: number=99: use the number of a question, 1 to 12\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0"], "1 to 12"),
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
    assert "No such file" in refused_after_the_answer(capsys, str(tmp_path / "nowhere" / "answer.png"))


def refused_after_the_answer(capsys, file: str) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["1", *SMALL, "--plot", file])
    assert ended.value.code == 2
    return capsys.readouterr().err
