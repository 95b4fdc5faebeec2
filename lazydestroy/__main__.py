"""The reviewers' questions from a shell: ``python -m lazydestroy`` lists them, with a number it answers one.

python -m lazydestroy
python -m lazydestroy 3 --memory "256 GiB" --destroy "2 us"
python -m lazydestroy 3 --help
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from .costs import Costs
from .questions import QUESTIONS, accepted, ask, question
from .series import Series, v1, v1_fixed
from .units import format_duration

WIDTH = 100

_KERNEL = re.compile(r"(?P<base>v1_fixed|v1|before)(?P<calls>(\.(upto|without)\(\s*\d+(\s*,\s*\d+)*\s*\))*)")

_COSTS: dict[str, int] = {each.name: getattr(Costs(), each.name) for each in fields(Costs)}

_SEVERAL = ("rates", "sizes", "bystander", "batches", "habits", "moments")
"""Parameters that take several values, separated by commas."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"lazydestroy: {message}\n")


def kernel(text: str) -> Series:
    """Read a kernel: ``v1``, ``v1_fixed``, ``before``, ``v1.upto(7)``, ``v1.without(3, 4)``.

    Raises
    ------
    ValueError
        If it is none, or could not be compiled.
    """
    found = _KERNEL.fullmatch(text.strip().removeprefix("ld.series."))
    if found is None:
        raise ValueError(f"kernel={text!r}: use before, v1, v1_fixed, or one such as v1.upto(7) or v1.without(3, 4)")
    series = {"v1": v1, "v1_fixed": v1_fixed, "before": v1.upto(0)}[found["base"]]
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
        epilog="python -m lazydestroy 3 --help lists the parameters of question 3.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("number", nargs="?", help=f"number of the question, 1 to {len(QUESTIONS)}")
    parser.add_argument("-h", "--help", action="store_true", help="show what can be given, and exit")
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
    parser.add_argument("--plot", metavar="FILE", help="save the picture as a PNG file")


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Returns
    -------
    int
        Exit status: 0. What cannot be done ends the program with 2 and a line on standard error.
    """
    parser = _parser()
    asked, rest = parser.parse_known_args(arguments)
    if asked.number is None:
        if rest:
            parser.error(f"{rest[0]}: give the number of a question first")
        print(parser.format_help() if asked.help else _list())
        return 0
    try:
        if rest and not asked.number.isdigit():
            parser.error(f"{rest[0]}: give the number of a question first")
        number = _number(asked.number)
        _add_parameters(parser, number)
        parsed = parser.parse_args(arguments)
        if parsed.help:
            print(parser.format_help())
            return 0
        answer = ask(number, progress=_show if sys.stderr.isatty() else None, **_given(parsed, number))
        print(f"{answer.text(WIDTH)}  # {answer.seconds:.1f} s", flush=True)
        if parsed.plot:
            Path(parsed.plot).write_bytes(answer.plot().png())
    except BrokenPipeError:
        # whoever read has seen enough; let the interpreter find nothing to complain about at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
