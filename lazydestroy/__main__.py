"""The reviewers' questions from a shell: ``lazydestroy`` lists them, with a number it answers one. And the course.

``python -m lazydestroy`` does the same as ``lazydestroy``.

python -m lazydestroy
python -m lazydestroy 3 --memory "256 GiB" --destroy "2 us"
python -m lazydestroy 3 --help
python -m lazydestroy lab my-notes
python -m lazydestroy --version
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from . import __version__, course
from .costs import Costs
from .questions import QUESTIONS, accepted, ask, question
from .saying import program, say
from .series import Series, linux_6_2, v1, v1_fixed
from .units import format_duration

WIDTH = 100

_KERNEL = re.compile(r"(?P<base>linux_6_2|v1_fixed|v1|before)(?P<calls>(\.(upto|without)\(\s*\d+(\s*,\s*\d+)*\s*\))*)")

_COSTS: dict[str, int] = {each.name: getattr(Costs(), each.name) for each in fields(Costs)}

_SEVERAL = ("rates", "sizes", "bystander", "batches", "habits", "moments")
"""Parameters that take several values, separated by commas."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lazydestroy: {message}\n")


def kernel(text: str) -> Series:
    """Read a kernel: ``v1``, ``v1_fixed``, ``linux_6_2``, ``before``, ``v1.upto(7)``, ``v1.without(3, 4)``.

    Raises
    ------
    ValueError
        If it is none, or could not be compiled.
    """
    found = _KERNEL.fullmatch(text.strip().removeprefix("ld.series."))
    if found is None:
        raise ValueError(f"kernel={text!r}: use before, v1, v1_fixed, linux_6_2, or one such as v1.upto(7)")
    series = {"v1": v1, "v1_fixed": v1_fixed, "linux_6_2": linux_6_2, "before": v1.upto(0)}[found["base"]]
    for name, numbers in re.findall(r"\.(upto|without)\(([\d\s,]+)\)", found["calls"]):
        series = getattr(series, name)(*map(int, numbers.split(",")))
    return series


def value(name: str, text: str, default: Any = None) -> Any:
    """Read the value of a parameter: a number, true or false, none, or text such as ``64 GiB``.

    "none" is a word like any other where the default is not None: ``--touch none``.
    """
    if name == "kernel":
        return kernel(text)
    if name in _SEVERAL and "," in text:
        return tuple(value(name, part.strip()) for part in text.split(","))
    words = {"true": True, "false": False, **({"none": None} if default is None else {})}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m lazydestroy",
        description="The questions of the reviewers of lazy destroy, answered by experiment. No number: the list.",
        epilog="python -m lazydestroy 3 --help lists the parameters of question 3; python -m lazydestroy lab opens the "
        "course in JupyterLab.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("number", nargs="?", help=f"number of the question, 1 to {len(QUESTIONS)}")
    parser.add_argument("-h", "--help", action="store_true", help="show what can be given, and exit")
    parser.add_argument("--version", action="store_true", help="show the version, and exit")
    return parser


def _cost_options(number: int) -> dict[str, str]:
    """Costs by name, and the option for each: one that is called like a parameter gets another name."""
    taken = accepted(number)
    return {name: f"--{name}{'-cost' if name in taken else ''}".replace("_", "-") for name in _COSTS}


def _add_parameters(parser: _Parser, number: int) -> None:
    parameters = parser.add_argument_group(f"parameters of question {number}")
    for name, default in accepted(number).items():
        if name != "costs":
            shown = "lazy_destroy=0 is v1's parameter off" if name == "lazy_destroy" else f"default: {default}"
            parameters.add_argument(f"--{name.replace('_', '-')}", metavar="VALUE", help=shown)
    if "costs" in accepted(number):
        costs = parser.add_argument_group("what a step costs")
        for name, option in _cost_options(number).items():
            costs.add_argument(option, metavar="TIME", help=f"default: {format_duration(_COSTS[name])}")
    parser.add_argument("--plot", metavar="FILE", help="save the picture as a PNG file (*.png)")


def _given(arguments: argparse.Namespace, number: int) -> dict[str, Any]:
    """What `ask` gets."""
    texts = {name: text for name, text in vars(arguments).items() if text is not None and text is not False}
    found = {name: value(name, texts[name], default) for name, default in accepted(number).items() if name in texts}
    if "lazy_destroy" in found:
        found["lazy_destroy"] = {0: False, 1: True}.get(found["lazy_destroy"], found["lazy_destroy"])
    options = {name: option[2:].replace("-", "_") for name, option in _cost_options(number).items()}
    costs = {name: value(name, texts[option]) for name, option in options.items() if option in texts}
    return {**found, **({"costs": Costs(**costs)} if costs else {})}


def _list() -> str:
    lines = ["The reviewers' questions. python -m lazydestroy 3 answers the third.", ""]
    for each in QUESTIONS:
        lines.append(textwrap.fill(f"{each.number:2}  {each.asks} ({each.who})", WIDTH, subsequent_indent="    "))
    return "\n".join(lines)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"{text!r} is not the number of a question: use 1 to {len(QUESTIONS)}")
    return question(int(text)).number


def _show(done: int, total: int) -> None:
    """How far it is, on a line that is written over."""
    end = "\r" if done + 1 < total else "\r\033[K"
    print(f"run {done + 1} of {total} ...", end=end, file=sys.stderr, flush=True)


@contextmanager
def _file_for(plot: str | None) -> Iterator[Path | None]:
    """The file for the picture, if one is wanted: opened before anything is computed, gone if nothing is saved."""
    if plot is None:
        yield None
        return
    file = Path(plot)
    if file.suffix.lower() not in ("", ".png"):
        raise ValueError(f"--plot {plot}: the picture is saved as PNG; use a name that ends in .png")
    new = not file.exists()
    with file.open("ab"):
        pass
    try:
        yield file
    finally:
        if new and not file.stat().st_size:
            file.unlink()


def _answer(parser: _Parser, arguments: Sequence[str] | None, number: int) -> None:
    """Answer a question, or say what can be given."""
    _add_parameters(parser, number)
    parsed, unknown = parser.parse_known_args(arguments)
    if parsed.help:
        say(parser.format_help())
        return
    if unknown:
        there = f"python -m lazydestroy {number} --help lists what question {number} takes"
        parser.error(f"unrecognized arguments: {' '.join(unknown)} ({there})")
    given = _given(parsed, number)
    with _file_for(parsed.plot) as file:
        answer = ask(number, progress=_show if sys.stderr and sys.stderr.isatty() else None, **given)
        say(f"{answer.text(WIDTH)}  # {answer.seconds:.1f} s")
        if file is not None:
            file.write_bytes(answer.plot().png())


def _lab(arguments: Sequence[str]) -> int:
    """Copy the course into a folder, and open it there."""
    if {"-h", "--help"} & set(arguments):
        say(course.HELP.rstrip())
        return 0
    folder, only_copy, options = course.split(arguments)
    say(course.report(folder, course.copy(folder)))
    return 0 if only_copy else course.open_lab(folder, options)


@program("lazydestroy")
def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Returns
    -------
    int
        Exit status: 0; 1 if the reader of the answer has gone; what JupyterLab ended with. What cannot be done ends the
        program with 2 and a line on standard error.
    """
    parser = _parser()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments[:1] == ["lab"]:
            return _lab(arguments[1:])
        asked, rest = parser.parse_known_args(arguments)
        if asked.version:
            say(f"lazydestroy {__version__}")
        elif asked.number is None and not rest:
            say(parser.format_help() if asked.help else _list())
        elif asked.number is None or (rest and not asked.number.isdigit()):
            parser.error(f"{rest[0]}: give the number of a question first")
        else:
            _answer(parser, arguments, _number(asked.number))
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
