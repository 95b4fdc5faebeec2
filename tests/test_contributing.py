"""CONTRIBUTING.md speaks of what there is."""

import ast
import contextlib
import io
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import lazydestroy as ld
from lazydestroy.assumptions import TOPICS
from lazydestroy.series.failures import FAILURES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SPANS = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))


def words(start):
    return [span for span in SPANS if span.startswith(start)]


def test_it_is_a_page_that_the_readme_leads_to():
    assert len(TEXT.splitlines()) <= 70
    assert "(CONTRIBUTING.md)" in (ROOT / "README.md").read_text(encoding="utf-8").partition("## Layout")[2]


@pytest.mark.parametrize("path", sorted({span for span in SPANS if re.fullmatch(r"[\w.*-]+/[\w./*-]*", span)}))
def test_each_path_is_there(path):
    assert list(ROOT.glob(path.rstrip("/")))


@pytest.mark.parametrize("command", sorted({*words("make "), *words("python -m ")}))
def test_each_command_is_there(command):
    program, name = re.match(r"(make|python -m) (\S+)", command).groups()
    if program == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    else:
        assert find_spec(name)
    assert all(list(ROOT.glob(path)) for path in re.findall(r"tests/\S+\.py", command))


def test_an_option_that_it_names_is_one():
    assert '"--write"' in (ROOT / "benchmarks" / "wide.py").read_text(encoding="utf-8")


def test_each_table_and_link_is_there():
    assert FAILURES and TOPICS and ld.QUESTIONS and ld.series.BUGS
    headings = re.findall(r"^#+ (.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\(README\.md#([\w-]+)\)", TEXT)) <= anchors


def test_tests_know_what_they_share_by_one_name():
    """A module that is imported by two names is there twice, and what is replaced in one stays in the other."""
    files = (file.stem for file in (ROOT / "tests").glob("*.py") if not file.stem.startswith("test_"))
    shared = set(files) - {"conftest"}  # pytest itself calls it so
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert shared.isdisjoint(names), f"{file.name}: from tests.{names[0]} import ..."


def test_its_search_runs_and_finds_nothing():
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(code, {"__name__": "__main__"})
    assert said.getvalue().count("plus(Mine) holds in every state") == 2
