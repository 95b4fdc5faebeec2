"""The lessons: executed afresh they print what is committed, and they keep the rules that all of them follow."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

import lazydestroy as ld
from tests.marks import long_unless
from tests.refresh_notebooks import (
    FOLDER,
    MEASURED,
    METADATA,
    ROOT,
    WIDGET_VIEW,
    Executed,
    execute,
    normalised,
    notebooks,
    solutions,
    with_measurements_of,
)

MEMORY_MAX = 1 << 30
"""What a free Binder surely gives, in bytes."""
OUTPUTS_MAX = 220_000
FOLDER_MAX = 15 << 20
CELL_LINES_MAX = 20
SOLUTION_LINES_MAX = 32
"""In an exercise a class is written in one cell."""

NOTEBOOKS = notebooks()
TEXTS = [*NOTEBOOKS, ROOT / "README.md"]

SOME = {
    "course/01-why-is-the-reboot-slow.ipynb",
    "reference/teaching.ipynb",
    "exercises/release/predict-and-compute/1-pages.ipynb",
}


every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: str(path.relative_to(FOLDER)))
every_text = pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def committed(path: Path):
    return nbformat.read(path, as_version=4)


def markdown(path: Path) -> str:
    """All prose of a notebook, or of a Markdown file."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in committed(path).cells if cell.cell_type == "markdown")


def code_cells(path: Path) -> list:
    return [cell for cell in committed(path).cells if cell.cell_type == "code"]


def outputs(path: Path) -> list:
    return [output for cell in code_cells(path) for output in cell.outputs]


# Executed afresh


def in_folder(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def said(notebook) -> list[str]:
    """What each code cell shows, as text: no pictures, no addresses in memory. Of what is measured, only its kind."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return [f"[{cell.source}]\n" + "\n".join(said_in(cell)) for cell in cells]


def said_in(cell) -> list[str]:
    if MEASURED in cell.metadata.get("tags", []):
        return [f"{output.output_type} {sorted(output.get('data', {}))}" for output in cell.outputs]
    return [said_by(output) for output in cell.outputs]


def said_by(output) -> str:
    text = output.get("text") or "\n".join(
        f"{kind}: {content}" for kind, content in sorted(output.get("data", {}).items()) if kind.startswith("text/")
    )
    text = re.sub(r"data:image/[\w+.-]+;base64,[\w+/=\s]*", "data:image", text)
    return f"{output.output_type}: " + re.sub(r"(<[^<>]* at )0x[0-9a-f]+", r"\1 an address", text)


@pytest.mark.notebooks
@pytest.mark.parametrize(
    "path",
    long_unless(lambda path: in_folder(path) in SOME, "executing all of them takes minutes", NOTEBOOKS),
    ids=in_folder,
)
def test_executed_afresh_it_prints_what_is_committed_and_fits_into_a_small_machine(path):
    """One test, so that each is executed once, however the tests are spread over processes."""
    executed = execute(path)
    assert said(executed.notebook) == said(committed(path)), "if that is right: python -m tests.refresh_notebooks"
    assert_solutions_print_what_they_are_said_to(path, executed)
    # None: there is no /proc to tell
    assert executed.peak is None or executed.peak <= MEMORY_MAX


def assert_solutions_print_what_they_are_said_to(path: Path, executed: Executed) -> None:
    shown = [found["prints"] for found in solutions(committed(path))]
    printed = executed.solutions
    assert len(shown) == len(printed)
    assert shown == [now if then is not None else None for then, now in zip(shown, printed, strict=True)]


# As committed


def measured_cells(path: Path) -> list:
    return [cell for cell in code_cells(path) if MEASURED in cell.metadata.get("tags", [])]


def test_a_page_with_measured_cells_says_whose_figures_they_are():
    pages = [path for path in NOTEBOOKS if measured_cells(path)]
    assert pages, "is the tag still called that?"
    for path in pages:
        assert "were measured on the author's computer" in markdown(path), in_folder(path)


def test_a_cell_that_measures_keeps_its_figures_while_its_code_stays():
    def notebook(code, shown):
        output = nbformat.v4.new_output("stream", text=shown)
        tagged = {"tags": [MEASURED]}
        return nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(code, id="measured", metadata=tagged, outputs=[output]),
                nbformat.v4.new_code_cell(code, id="modelled", outputs=[output]),
            ]
        )

    def shown(before, after):
        return [cell.outputs[0].text for cell in with_measurements_of(before, after).cells]

    assert shown(notebook("1 + 1", "quiet"), notebook("1 + 1", "busy")) == ["quiet", "busy"]
    assert shown(notebook("1 + 1", "quiet"), notebook("2 + 2", "busy")) == ["busy", "busy"]


def test_only_cells_that_measure_are_tagged_so():
    """A cell with that tag is compared by the kind of its outputs only."""
    for path in NOTEBOOKS:
        measures = {cell.id for cell in code_cells(path) if re.search(r"\blive\.|measured_by", cell.source)}
        tagged = {cell.id for cell in measured_cells(path)}
        assert measures <= tagged, in_folder(path)
        assert not tagged or measures, in_folder(path)


def test_there_are_lessons():
    assert FOLDER / "index.ipynb" in NOTEBOOKS
    assert {in_folder(path) for path in NOTEBOOKS} >= SOME


@every_notebook
def test_it_is_a_valid_notebook_of_version_4_5(path):
    notebook = committed(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


@every_notebook
def test_it_is_saved_in_the_committed_form(path):
    """Saved by hand in JupyterLab it would have versions and times in it: python -m tests.refresh_notebooks."""
    assert committed(path).metadata == METADATA
    assert nbformat.writes(normalised(nbformat.read(path, as_version=4))) + "\n" == path.read_text(encoding="utf-8")


@every_notebook
def test_every_cell_has_an_id_of_its_own(path):
    ids = [cell.id for cell in committed(path).cells]
    assert len(ids) == len(set(ids))


@every_notebook
def test_it_was_executed_once_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))
    assert all(
        output.get("execution_count", 0) in (0, cell.execution_count)
        for cell in code_cells(path)
        for output in cell.outputs
    )


@every_notebook
def test_nothing_went_wrong(path):
    assert not [output for output in outputs(path) if output.output_type == "error" or output.get("name") == "stderr"]


@every_notebook
def test_no_widget_is_saved(path):
    """Without a kernel it would be dead; and its numbers change each time."""
    assert WIDGET_VIEW not in path.read_text(encoding="utf-8")


@every_notebook
def test_it_does_not_say_where_it_was_executed(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(?:tmp|home|root|work|mnt|opt|Users)/|C:\\\\|site-packages|ipykernel_\d", text)


@every_notebook
def test_code_can_be_read_aloud(path):
    most = SOLUTION_LINES_MAX if path.is_relative_to(FOLDER / "exercises" / "source") else CELL_LINES_MAX
    for cell in code_cells(path):
        if cell.id != "quiz":  # data, and folded
            assert len(cell.source.splitlines()) <= most, cell.source
    for found in solutions(committed(path)):
        assert len(found["code"].splitlines()) <= CELL_LINES_MAX, found["code"]


@every_notebook
def test_what_it_shows_is_not_too_large(path):
    assert len(json.dumps(outputs(path))) <= OUTPUTS_MAX


def test_all_lessons_together_are_not_too_large():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= FOLDER_MAX


@every_notebook
def test_it_begins_with_what_it_is(path):
    first = committed(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    if path.name[0].isdigit():
        assert re.search(r"\bknow\b", first.source), "what you will know at the end"
        assert re.search(r"\bbefore\b", first.source), "what you need before"


# Links


def prose_without_code(path: Path) -> str:
    return re.sub(r"```.*?```|`[^`]*`", "", markdown(path), flags=re.DOTALL)


def links(path: Path) -> list[str]:
    text = prose_without_code(path)
    found = re.findall(r"\]\(\s*([^)\s]+)[^)]*\)", text) + re.findall(r"(?:href|src)=[\"']([^\"']+)[\"']", text)
    return [link for link in found if not re.match(r"(https?|mailto):", link)]


@cache
def headings(path: Path) -> tuple[str, ...]:
    """Anchors of a notebook's headings as JupyterLab makes them: the text, with hyphens for spaces."""
    text = re.sub(r"```.*?```", "", markdown(path), flags=re.DOTALL)
    titles = re.findall(r"^#{1,6} +(.+?) *$", text, re.MULTILINE)
    return tuple(re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).replace(" ", "-") for title in titles)


@every_text
def test_links_lead_somewhere(path):
    for link in links(path):
        file, _, anchor = unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor.startswith("cell-id="):
            cell = next((cell for cell in committed(target).cells if f"cell-id={cell.id}" == anchor), None)
            assert cell is not None, link
            # the site names headings only
            assert cell.cell_type == "markdown" and re.search("^#+ ", cell.source, re.MULTILINE), link
        elif anchor:
            assert anchor in headings(target), link


def test_the_glossary_explains_each_term_once():
    terms = headings(FOLDER / "reference/glossary.ipynb")
    assert len({term.lower() for term in terms}) == len(terms)
    assert sorted(terms[1:], key=str.lower) == list(terms[1:])


def test_every_term_of_the_glossary_can_be_linked_to():
    """By heading where it is open already, and by cell, the only way that works while JupyterLab is opening it."""
    cells = committed(FOLDER / "reference/glossary.ipynb").cells[1:]
    assert [cell.id for cell in cells] == [term.lower() for term in headings(FOLDER / "reference/glossary.ipynb")[1:]]
    assert all(re.search(r"^\*Source: .+\.\*$", cell.source, re.MULTILINE) for cell in cells)


LESSONS = [path for path in NOTEBOOKS if in_folder(path).startswith(("course/", "side/", "reviewers/", "reference/"))]


def test_the_index_leads_to_every_lesson():
    linked = {(FOLDER / link.partition("#")[0]).resolve() for link in links(FOLDER / "index.ipynb")}
    assert len(LESSONS) > 20 and not [in_folder(path) for path in LESSONS if path not in linked]


def test_the_index_says_where_each_patch_has_its_home():
    rows = re.findall(r"^\| (\d+) \| (.+?) \| \[.+?\]\((.+?)\) \|$", markdown(FOLDER / "index.ipynb"), re.MULTILINE)
    assert [(int(number), title) for number, title, _ in rows] == [
        (patch.number, patch.title) for patch in ld.series.v1
    ]
    for number, _, home in rows:
        assert re.search(rf"\bpatch {number}\b", markdown(FOLDER / home), re.IGNORECASE), (number, home)


@pytest.mark.parametrize("path", LESSONS, ids=in_folder)
def test_lessons_have_names_not_numbers(path):
    """A number says nothing, and is wrong when a lesson comes in between."""
    assert not re.search(r"\blessons? \[?\d", prose_without_code(path), re.IGNORECASE)
